"""What is written of an answer: one file per image and form, and one summary of all images."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from monolayer_client.results import SegmentResult
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
    png = "png"

    @property
    def suffix(self) -> str:
        """End of the file name behind the image's name."""
        return {"csv": ".rle.csv", "table": ".objects.csv", "tiff": ".labels.tif", "png": ".overlay.png"}.get(
            self.value, ".json"
        )


def to_json(answer: Mapping[str, Any]) -> bytes:
    """Write an answer as it came."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def to_kaggle(result: SegmentResult) -> bytes:
    """Write the objects as rows of a Kaggle submission."""
    file = io.StringIO(newline="")
    write_submission(file, {result.image_id: result.kaggle_rows()})
    return file.getvalue().encode()


def to_object_table(result: SegmentResult) -> bytes:
    """Write a table with one row per object; values with several parts get a column for each, such as ``bbox.y``."""
    rows = [_flatten({name: value for name, value in row.items() if name != "rle"}) for row in result.raw["instances"]]
    return _table(rows, list(dict.fromkeys(name for row in rows for name in row)) or ["id"])


def to_summary(answers: Iterable[Mapping[str, Any]]) -> bytes:
    """Write a table with one row per image."""
    return _table([summary_row(answer) for answer in answers], SUMMARY_COLUMNS)


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


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            row |= {f"{name}.{part}": item for part, item in value.items()}
        elif isinstance(value, list) and name != "polygon":
            row |= {f"{name}.{number}": item for number, item in enumerate(value)}
        elif name != "polygon":
            row[name] = value
    return row


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()
