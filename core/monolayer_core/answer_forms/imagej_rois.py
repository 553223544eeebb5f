"""Regions of interest for ImageJ's ROI Manager: a zip archive with one file an object.

Coordinates are corners of pixels, as those of ImageJ's wand tool, so that ImageJ measures exactly the pixels of an
object. One outline is a traced ROI; an object with holes, or one that hangs together by corners alone, is a composite
ROI of all its outlines.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from monolayer_core.pixel_edges import Polygon, trace_pixel_edges
from monolayer_core.row_runs import Int64Array, RowRuns

_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest a zip archive knows: the same objects give the same bytes at any time."""

_MIN_DIGITS = 4
_MOVE_TO, _LINE_TO, _CLOSE = 0.0, 1.0, 4.0


def encode_imagej_rois(runs: RowRuns, records: Iterable[Mapping[str, Any]], class_names: Sequence[str]) -> bytes:
    """Write the objects of an image as a zip archive of ROIs.

    Parameters
    ----------
    runs : RowRuns
        Objects 1 to N, each of at least one pixel.
    records : iterable of mapping
        What is known of each, as `object_columns.records_of` gives it.
    class_names : sequence of str
        All classes. Where there are several, an object's group is the number of its class, from 1.

    Returns
    -------
    bytes
        Files ``0001.roi``, ``0002.roi``, ...: the label of the object with leading zeros, as many as the largest needs,
        so that the ROI Manager lists them in order. Each ROI has the properties `class` and, where there is one,
        `score`.
    """
    digits = max(_MIN_DIGITS, len(str(runs.count)))
    group_of = {name: number for number, name in enumerate(class_names, start=1)} if len(class_names) > 1 else {}
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for record, polygons in zip(records, trace_pixel_edges(runs), strict=True):
            roi = _roi(polygons, f"{record['id']:0{digits}}")
            roi.group = group_of.get(record["class"], 0)
            roi.props = "".join(f"{name}: {record[name]}\n" for name in ("class", "score") if record[name] is not None)
            entry = zipfile.ZipInfo(f"{roi.name}.roi", _FIRST_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, roi.tobytes())
    return body.getvalue()


def _roi(polygons: Sequence[Polygon], name: str) -> ImagejRoi:
    rings = [ring for polygon in polygons for ring in (polygon.outer, *polygon.holes)]
    corners = np.concatenate([polygon.outer for polygon in polygons])
    if len(rings) == 1:
        roi = ImagejRoi.frompoints(corners[:, ::-1], name=name)
        roi.roitype = ROI_TYPE.TRACED
        roi.options &= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    else:
        roi = ImagejRoi(name=name)
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
        roi.shape_roi_size = roi.multi_coordinates.size
        roi.top, roi.left = corners.min(axis=0).tolist()
    roi.bottom, roi.right = corners.max(axis=0).tolist()
    return roi


def _path(ring: Int64Array) -> npt.NDArray[np.float32]:
    steps = np.full((len(ring), 3), _LINE_TO, dtype=np.float32)
    steps[0, 0] = _MOVE_TO
    steps[:, 1:] = ring[:, ::-1]
    return np.append(steps.ravel(), np.float32(_CLOSE))
