"""The forms an answer can take: JSON, Kaggle rows, a label image, an overlay.

Bodies are written straight from arrays, and hold nothing that depends on time: the same image, options and bundle give
the same bytes.
"""

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from monolayer_core.column_runs import find_column_runs
from monolayer_core.image_io import encode_label_tiff, encode_png
from monolayer_core.measure import Measurements, measure_runs
from monolayer_core.overlay import OverlaidRows
from monolayer_core.pixel_digest import digest_pixels
from monolayer_core.polygons import trace_polygons
from monolayer_core.quality import assess_quality
from monolayer_core.rle import encode_coco_runs, encode_kaggle_runs
from monolayer_core.row_runs import PaintedRows
from monolayer_core.submission import write_submission
from monolayer_service.analysis import Analysis
from monolayer_service.json_records import Column, write_numbers, write_records
from monolayer_service.options import Options

DECIMALS = 4
"""Of pixels, scores and percentages in JSON: finer than anything that was measured."""

_RECORDS_AT_ONCE = 1 << 12

_SERVICE_VERSION = version("monolayer-service")

_NOT_OF_THE_OBJECTS = {"image_id", "format", "echo"}
"""Options that change how an answer looks, never what was found."""

MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "tiff": "image/tiff",
    "png": "image/png",
    "ndjson": "application/x-ndjson",
}


def render_segmentation(analysis: Analysis, options: Options, form: str) -> bytes:
    """Write the answer of ``/v1/segment`` in one of the forms of `MEDIA_TYPES`; of ``ndjson`` its last line."""
    found, image = analysis.segmentation, analysis.source.image
    if form == "csv":
        return render_submission({analysis.source.image_id: encode_kaggle_runs(find_column_runs(found.runs))})
    if form == "tiff":
        return encode_label_tiff(PaintedRows(found.runs), found.runs.count, image.pixel_size_um)
    if form == "png":
        return encode_png(OverlaidRows(image.rows, found.runs))
    rle = None if options.rle == "none" else {"format": options.rle, "order": "F"}
    # Records of many objects take more memory than their text: some are made, written and forgotten at a time.
    instances = [piece for records in _instances(analysis, options) for piece in (b",", records)][1:]
    opening = orjson.dumps(_summary(analysis, options))[:-1]
    return b"".join([opening, b',"instances":[', *instances, b'],"rle":', orjson.dumps(rle), b"}"])


def render_confluency(analysis: Analysis, options: Options) -> bytes:
    """Write the answer of ``/v1/confluency``: the numbers about the image, nothing about single objects."""
    return orjson.dumps(_summary(analysis, options))


def render_submission(rows: dict[str, list[str]]) -> bytes:
    """Write Kaggle's table of run lengths, by image."""
    table = io.StringIO(newline="")
    write_submission(table, rows)
    return table.getvalue().encode()


def _summary(analysis: Analysis, options: Options) -> dict[str, Any]:
    source, found = analysis.source, analysis.segmentation
    image = source.image
    height, width = image.rows.height, image.rows.width
    area_px = round(found.confluency_percent * height * width / 100)
    number_of = np.bincount(found.class_ids, minlength=len(found.class_names)).tolist()
    counts = dict(zip(found.class_names, number_of, strict=True))
    quality = assess_quality(image.rows)
    flags = [*quality.flags, *(["unlike_training_data"] if found.unlike_training_data else [])]
    summary: dict[str, Any] = {
        "image_id": source.image_id,
        "image": {
            "height": height,
            "width": width,
            "channels": image.channels,
            "dtype": str(image.rows.dtype),
            "pixel_size_um": image.pixel_size_um,
            "sha256": source.sha256,
        },
        "method": found.method,
        "model": None if analysis.model is None else asdict(analysis.model),
        "fallback": None if analysis.fallback is None else asdict(analysis.fallback),
        "confluency": {
            "percent": round(found.confluency_percent, DECIMALS),
            "of": analysis.confluency_of,
            "area_px": area_px,
            "area_um2": _square_um(area_px, image.pixel_size_um),
            "uncertainty_points": _rounded_or_none(found.uncertainty_points),
        },
        "count": len(found.class_ids),
        "counts": counts,
        **({"ratios": _ratios(counts)} if len(counts) > 1 else {}),
        "quality": asdict(quality) | {"flags": flags},
    }
    if found.kmeans is not None:
        summary["kmeans"] = {
            "k": found.kmeans.k,
            "centres": found.kmeans.centres,
            "shares": found.kmeans.shares,
            "foreground": found.kmeans.foreground,
        }
    if options.echo:
        summary["echo"] = options.echo
    summary["receipt"] = {
        "pixels_sha256": digest_pixels(image.rows),
        "model_sha256": None if analysis.model is None else analysis.model.sha256,
        "options": options.model_dump(exclude_defaults=True, exclude=_NOT_OF_THE_OBJECTS),
        "service_version": _SERVICE_VERSION,
    }
    return summary


def _ratios(counts: dict[str, int]) -> dict[str, float | None]:
    """Ratios of the counts of all pairs of classes in their order.

    Examples
    --------
    >>> _ratios({"rbc": 43, "wbc": 2, "platelet": 0})
    {'rbc:wbc': 21.5, 'rbc:platelet': None, 'wbc:platelet': None}
    """
    return {
        f"{first}:{second}": round(counts[first] / counts[second], DECIMALS) if counts[second] else None
        for first, second in itertools.combinations(counts, 2)
    }


def _instances(analysis: Analysis, options: Options) -> Iterator[bytes]:
    """Write the records of all objects, some at a time; numbers are computed for all objects at once."""
    found, image = analysis.segmentation, analysis.source.image
    measured = measure_runs(
        found.runs,
        image.rows if options.measurements else None,
        pixel_size_um=image.pixel_size_um,
        solidity=options.measurements,
    )
    rle: Sequence[str] = ()
    if options.rle == "kaggle":
        rle = encode_kaggle_runs(find_column_runs(found.runs))
    elif options.rle == "coco":
        rle = encode_coco_runs(find_column_runs(found.runs))
    polygons = trace_polygons(found.runs, measured.bbox_px) if options.polygons else ()
    class_names = [orjson.dumps(name) for name in found.class_names]
    for first in range(0, len(measured), _RECORDS_AT_ONCE):
        part = slice(first, min(first + _RECORDS_AT_ONCE, len(measured)))
        columns: dict[str, Column] = {
            "id": write_numbers(np.arange(part.start + 1, part.stop + 1)),
            "class": [class_names[index] for index in found.class_ids[part].tolist()],
            "score": repeat(b"null") if found.scores is None else _rounded(found.scores[part]),
            "bbox": dict(zip(("y", "x", "height", "width"), map(write_numbers, measured.bbox_px[part].T), strict=True)),
            "centroid": dict(zip(("y", "x"), map(_rounded, measured.centroid_px[part].T), strict=True)),
            "area_px": write_numbers(measured.area_px[part]),
        }
        if measured.area_um2 is not None:
            columns["area_um2"] = _rounded(measured.area_um2[part])
        if options.measurements:
            columns |= _shape_columns(measured, part)
        if options.rle == "kaggle":
            columns["rle"] = map(orjson.dumps, rle[part])
        elif options.rle == "coco":
            size = orjson.dumps([found.runs.height, found.runs.width])
            columns["rle"] = {"size": repeat(size), "counts": map(orjson.dumps, rle[part])}
        if options.polygons:
            columns["polygon"] = map(orjson.dumps, polygons[part])
        yield b",".join(write_records(columns))


def _shape_columns(measured: Measurements, part: slice) -> dict[str, Iterable[bytes]]:
    named = {
        "equivalent_diameter_px": measured.equivalent_diameter_px,
        "equivalent_diameter_um": measured.equivalent_diameter_um,
        "eccentricity": measured.eccentricity,
        "solidity": measured.solidity,
        "mean_intensity": measured.mean_intensity,
    }
    return {name: _rounded(column[part]) for name, column in named.items() if column is not None}


def _rounded(values: npt.NDArray[np.floating]) -> list[bytes]:
    return write_numbers(np.round(values, DECIMALS))


def _rounded_or_none(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _square_um(area_px: int, pixel_size_um: float | None) -> float | None:
    return None if pixel_size_um is None else round(area_px * pixel_size_um**2, DECIMALS)
