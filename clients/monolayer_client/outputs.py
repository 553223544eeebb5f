"""What is written of an answer: one file per image and form, and one summary of all images."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from monolayer_client.results import SegmentResult
from monolayer_core.answer_forms.object_table import encode_object_table, safe_cell
from monolayer_core.submission import write_submission

SUMMARY_COLUMNS = (
    "image_id",
    "confluency_percent",
    "confluency_of",
    "count",
    "method",
    "model",
    "model_version",
    "fallback",
    "quality_flags",
)


class OutputForm(StrEnum):
    """A form in which the objects of an image are written; `json`, the service's answer, is always written."""

    json = "json"
    csv = "csv"
    table = "table"
    tiff = "tiff"
    overlay = "overlay"
    geojson = "geojson"
    rois = "rois"
    coco = "coco"
    ndjson = "ndjson"

    @property
    def suffix(self) -> str:
        """End of the file name behind the image's name."""
        return _SUFFIXES[self]


_SUFFIXES = {
    OutputForm.json: ".json",
    OutputForm.csv: ".rle.csv",
    OutputForm.table: ".objects.csv",
    OutputForm.tiff: ".labels.tif",
    OutputForm.overlay: ".overlay.png",
    OutputForm.geojson: ".geojson",
    OutputForm.rois: ".rois.zip",
    OutputForm.coco: ".coco.json",
    OutputForm.ndjson: ".ndjson",
}


def to_json(answer: Mapping[str, Any]) -> bytes:
    """Write an answer as it came."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def to_kaggle(result: SegmentResult) -> bytes:
    """Write the objects as rows of a Kaggle submission."""
    file = io.StringIO(newline="")
    write_submission(file, {result.image_id: result.kaggle_rows()})
    return file.getvalue().encode()


def to_object_table(result: SegmentResult) -> bytes:
    """Write a table with one row per object, as the service does for ``format=table``."""
    return encode_object_table(result.image_id, result.raw["instances"], result.image.pixel_size_um)


def to_summary(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Write a table with one row per image, each as `summary_row` makes them."""
    return to_table(rows, SUMMARY_COLUMNS)


def summary_row(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the numbers of an image from its answer."""
    model, fallback = answer["model"] or {}, answer["fallback"] or {}
    values = (
        answer["image_id"],
        answer["confluency"]["percent"],
        answer["confluency"]["of"],
        answer["count"],
        answer["method"],
        model.get("name"),
        model.get("version"),
        fallback.get("reason"),
        " ".join(answer["quality"]["flags"]),
    )
    return dict(zip(SUMMARY_COLUMNS, values, strict=True))


def to_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Write a CSV table; what a row lacks stays empty."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: safe_cell(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows
    )
    return file.getvalue().encode()
