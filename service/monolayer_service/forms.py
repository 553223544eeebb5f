"""What an answer holds in each of its forms.

Bodies are written straight from arrays, and hold nothing that depends on time: the same image, options and bundle give
the same bytes.
"""

import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import repeat
from typing import Any

import numpy as np
import orjson

from monolayer_core.answer_forms.coco_dataset import encode_coco_dataset
from monolayer_core.answer_forms.geojson import encode_geojson
from monolayer_core.answer_forms.imagej_rois import encode_imagej_rois
from monolayer_core.answer_forms.object_table import encode_object_table
from monolayer_core.column_runs import find_column_runs
from monolayer_core.image_io import ChosenPlane, encode_label_tiff, encode_png
from monolayer_core.measure import Measurements, measure_runs
from monolayer_core.object_columns import DECIMALS, ObjectColumns, object_columns, records_of
from monolayer_core.overlay import OverlaidRows, ids_to_colour
from monolayer_core.pixel_digest import digest_pixels
from monolayer_core.polygons import trace_polygons
from monolayer_core.quality import assess_quality
from monolayer_core.rle import encode_coco_runs, encode_kaggle_runs
from monolayer_core.row_runs import PaintedRows
from monolayer_core.submission import write_submission
from monolayer_service.analysis import Analysis
from monolayer_service.cancellation import Cancellation, WantedRows
from monolayer_service.json_records import Column, write_numbers, write_records
from monolayer_service.media_types import Form
from monolayer_service.options import Options

_RECORDS_AT_ONCE = 1 << 12

_SERVICE_VERSION = version("monolayer-service")

_NOT_IN_RECEIPTS = {"model", "method", "fallback", "image_id", "format", "echo"}
"""Options that choose who answers, which the answer says itself, or that change how it looks, never what was found."""


def render_segmentation(analysis: Analysis, options: Options, form: Form, cancellation: Cancellation) -> bytes:
    """Write the answer of ``/v1/segment`` in one of its forms; of ``ndjson`` its last line.

    However many objects there are, `cancellation` is asked again and again.

    Raises
    ------
    Exception
        The error of the cancellation.
    """
    return _WRITERS[form](analysis, options, cancellation)


def _render_csv(analysis: Analysis, _: Options, cancellation: Cancellation) -> bytes:
    wanted = cancellation.check
    column_runs = find_column_runs(analysis.segmentation.runs, check=wanted)
    return render_submission({analysis.source.image_id: encode_kaggle_runs(column_runs, check=wanted)})


def _render_table(analysis: Analysis, options: Options, cancellation: Cancellation) -> bytes:
    source = analysis.source
    return encode_object_table(source.image_id, _records(analysis, options, cancellation), source.image.pixel_size_um)


def _render_tiff(analysis: Analysis, _: Options, cancellation: Cancellation) -> bytes:
    runs = analysis.segmentation.runs
    labels = WantedRows(PaintedRows(runs), cancellation)
    return encode_label_tiff(labels, runs.count, analysis.source.image.pixel_size_um)


def _render_overlay(analysis: Analysis, _options: Options, _cancellation: Cancellation) -> bytes:
    found = analysis.segmentation
    class_ids = ids_to_colour(found.class_ids, found.class_names)
    # The image's rows ask whether they are wanted.
    return encode_png(OverlaidRows(analysis.source.image.rows, found.runs, class_ids=class_ids))


def _render_geojson(analysis: Analysis, options: Options, cancellation: Cancellation) -> bytes:
    found, records = analysis.segmentation, _records(analysis, options, cancellation)
    return encode_geojson(found.runs, records, found.class_names, analysis.source.sha256)


def _render_rois(analysis: Analysis, options: Options, cancellation: Cancellation) -> bytes:
    found = analysis.segmentation
    return encode_imagej_rois(found.runs, _records(analysis, options, cancellation), found.class_names)


def _render_coco(analysis: Analysis, options: Options, cancellation: Cancellation) -> bytes:
    found, records = analysis.segmentation, _records(analysis, options, cancellation)
    file_name = analysis.source.file_name or analysis.source.image_id
    return encode_coco_dataset(file_name, found.runs, records, found.class_names, check=cancellation.check)


def _render_json(analysis: Analysis, options: Options, cancellation: Cancellation) -> bytes:
    rle = None if options.rle == "none" else {"format": options.rle, "order": "F"}
    # Records of many objects take more memory than their text: some are made, written and forgotten at a time.
    parts = _instances(analysis, options, cancellation)
    instances = [piece for records in parts for piece in (b",", records)][1:]
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
    flags = [
        *quality.flags,
        *([] if image.pixels_are_square else ["pixels_not_square"]),
        *(["unlike_training_data"] if found.unlike_training_data else []),
    ]
    summary: dict[str, Any] = {
        "image_id": source.image_id,
        "image": {
            "height": height,
            "width": width,
            "channels": image.channels,
            "dtype": str(image.rows.dtype),
            "pixel_size_um": image.pixel_size_um,
            "axes": image.axes,
            "plane": None if image.plane == ChosenPlane() else image.plane,
            "sha256": source.sha256,
        },
        "method": found.method,
        "model": analysis.model,
        "fallback": analysis.fallback,
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
        "quality": vars(quality) | {"flags": flags},
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
        "options": options.model_dump(exclude_defaults=True, exclude=_NOT_IN_RECEIPTS),
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


def _measure(analysis: Analysis, options: Options, wanted: Callable[[], None]) -> Measurements:
    """Measure all objects at once."""
    image = analysis.source.image
    return measure_runs(
        analysis.segmentation.runs,
        image.rows if options.measurements else None,
        pixel_size_um=image.pixel_size_um,
        solidity=options.measurements,
        check=wanted,
    )


def _columns(analysis: Analysis, measured: Measurements, options: Options) -> ObjectColumns:
    found = analysis.segmentation
    return object_columns(measured, found.class_ids, found.class_names, found.scores, shapes=options.measurements)


def _records(analysis: Analysis, options: Options, cancellation: Cancellation) -> Iterator[dict[str, Any]]:
    """Describe the objects one by one, as long as they are wanted."""
    wanted = cancellation.check
    for record in records_of(_columns(analysis, _measure(analysis, options, wanted), options)):
        wanted()
        yield record


def _instances(analysis: Analysis, options: Options, cancellation: Cancellation) -> Iterator[bytes]:
    """Write the records of all objects, some at a time, as long as they are wanted."""
    runs, wanted = analysis.segmentation.runs, cancellation.check
    measured = _measure(analysis, options, wanted)
    columns = _columns(analysis, measured, options)
    rle: Sequence[str] = ()
    if options.rle == "kaggle":
        rle = encode_kaggle_runs(find_column_runs(runs, check=wanted), check=wanted)
    elif options.rle == "coco":
        rle = encode_coco_runs(find_column_runs(runs, check=wanted), check=wanted)
    polygons = trace_polygons(runs, measured.bbox_px, check=wanted) if options.polygons else ()
    for first in range(0, runs.count, _RECORDS_AT_ONCE):
        wanted()
        part = slice(first, min(first + _RECORDS_AT_ONCE, runs.count))
        texts = _texts(columns, part)
        if options.rle == "kaggle":
            texts["rle"] = map(orjson.dumps, rle[part])
        elif options.rle == "coco":
            size = orjson.dumps([runs.height, runs.width])
            texts["rle"] = {"size": repeat(size), "counts": map(orjson.dumps, rle[part])}
        if options.polygons:
            texts["polygon"] = map(orjson.dumps, polygons[part])
        yield b",".join(write_records(texts))


def _texts(columns: ObjectColumns, part: slice) -> dict[str, Column]:
    """Write a part of every column as JSON."""
    texts: dict[str, Column] = {}
    for name, column in columns.items():
        if isinstance(column, Mapping):
            texts[name] = _texts(column, part)
        elif column.dtype == object:
            texts[name] = map(orjson.dumps, column[part])
        else:
            texts[name] = write_numbers(column[part])
    return texts


def _rounded_or_none(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _square_um(area_px: int, pixel_size_um: float | None) -> float | None:
    return None if pixel_size_um is None else round(area_px * pixel_size_um**2, DECIMALS)


_WRITERS: dict[Form, Callable[[Analysis, Options, Cancellation], bytes]] = {
    "json": _render_json,
    "csv": _render_csv,
    "table": _render_table,
    "tiff": _render_tiff,
    "overlay": _render_overlay,
    "geojson": _render_geojson,
    "rois": _render_rois,
    "coco": _render_coco,
    "ndjson": _render_json,
}
