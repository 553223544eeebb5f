"""Tables of boxes: ``annotations.csv``, and the table of corrections to it.

``annotations.csv`` has the columns ``image,xmin,ymin,xmax,ymax,label``, further ones are ignored. Coordinates are
ratios of width and height when none in the table exceeds 1, else pixels. In pixels, ``xmin = 3, xmax = 7`` spans the
columns 3 to 6.

A table of exclusions has two columns more: ``use``, which is ``drop`` or the right label, and ``reason``, for people.
Its coordinates are ratios or pixels by the same rule, whatever those of the annotations are.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np

from monolayer_core.boxes import Boxes
from monolayer_trainer.errors import DatasetError

ANNOTATIONS_NAME = "annotations.csv"
COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax", "label")
DROP = "drop"
TOLERANCE_PX = 1.0
"""How far a coordinate of an exclusion may be from that of its box: one of the two may be rounded to whole pixels."""


@dataclass(frozen=True)
class Box:
    """A box in pixels or ratios, as the table says, and the line of the table it stands in."""

    ymin: float
    xmin: float
    ymax: float
    xmax: float
    label: str
    line: int


@dataclass(frozen=True)
class Exclusion:
    """What is to become of a box: dropped, or given another label."""

    box: Box
    use: str


BoxTable: TypeAlias = dict[str, list[Box]]
"""The boxes of each image by its name without suffix, in the order of the table."""


def parse_boxes(text: str, name: str) -> BoxTable:
    """Parse ``annotations.csv``.

    Raises
    ------
    DatasetError
        A column is missing, a row is malformed, or there is none; the message names file and line.
    """
    boxes: defaultdict[str, list[Box]] = defaultdict(list)
    for row, line in _rows(text, name, COLUMNS):
        boxes[PurePosixPath(row["image"]).stem].append(_parse(row, f"{name}, line {line}", line))
    if not boxes:
        raise DatasetError(f"{name} holds no box")
    return dict(boxes)


def read_exclusions(path: Path) -> dict[str, list[Exclusion]]:
    """Read a table of exclusions: for each image what is to become of which box.

    Raises
    ------
    DatasetError
        The table cannot be read, a column is missing, or a row is malformed; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    found: defaultdict[str, list[Exclusion]] = defaultdict(list)
    for row, line in _rows(text, str(path), (*COLUMNS, "use")):
        place = f"{path}, line {line}"
        if not row["use"]:
            raise DatasetError(f"{place}: use is {DROP} or the right label")
        found[PurePosixPath(row["image"]).stem].append(Exclusion(_parse(row, place, line), row["use"]))
    return dict(found)


def are_ratios(boxes: Sequence[Box]) -> bool:
    """Tell whether the coordinates of a whole table are ratios of width and height."""
    return all(max(box.ymax, box.xmax) <= 1 for box in boxes)


def in_pixels(boxes: Sequence[Box], height: int, width: int, *, ratios: bool) -> Boxes:
    """Coordinates of boxes in the pixels of their image, ``(box, 4)``."""
    scale = np.array([height, width] * 2 if ratios else [1.0] * 4)
    boxes_px: Boxes = np.array([(b.ymin, b.xmin, b.ymax, b.xmax) for b in boxes], np.float64).reshape(-1, 4) * scale
    return boxes_px


def exclude(
    boxes: Sequence[Box], boxes_px: Boxes, exclusions: Sequence[Exclusion], exclusions_px: Boxes, place: str
) -> tuple[list[Box], Boxes]:
    """Drop and relabel the boxes of one image.

    Parameters
    ----------
    boxes, boxes_px
        As the table has them, and their coordinates in pixels.
    exclusions, exclusions_px
        The exclusions of this image, and their coordinates in pixels.
    place
        Name of the table of exclusions, for messages.

    Raises
    ------
    DatasetError
        An exclusion fits no box of its label, each coordinate within `TOLERANCE_PX`, or a box an earlier one took.
    """
    left: list[Box | None] = list(boxes)
    used: set[int] = set()
    for one, at in zip(exclusions, exclusions_px, strict=True):
        distance = np.abs(boxes_px - at).max(axis=1)
        fitting = [
            i
            for i, box in enumerate(boxes)
            if box.label == one.box.label and distance[i] <= TOLERANCE_PX and i not in used
        ]
        if not fitting:
            raise DatasetError(f"{place}, line {one.box.line}: no box of label {one.box.label} has these coordinates")
        index = min(fitting, key=lambda i: float(distance[i]))
        used.add(index)
        left[index] = None if one.use == DROP else replace(boxes[index], label=one.use)
    kept = [i for i, box in enumerate(left) if box is not None]
    return [box for box in left if box is not None], boxes_px[kept]


def _rows(text: str, name: str, columns: Sequence[str]) -> list[tuple[dict[str, str], int]]:
    """Rows of a table with their line numbers."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if not set(columns) <= set(reader.fieldnames or ()):
        raise DatasetError(f"{name} needs the columns {', '.join(columns)}")
    return [(row, reader.line_num) for row in reader]


def _parse(row: dict[str, str], place: str, line: int) -> Box:
    try:
        ymin, xmin, ymax, xmax = (float(row[column]) for column in ("ymin", "xmin", "ymax", "xmax"))
    except (TypeError, ValueError):
        raise DatasetError(f"{place}: the coordinates must be numbers") from None
    if not (ymin < ymax and xmin < xmax):  # also refuses NaN
        raise DatasetError(f"{place}: the box of {row['image']} has no extent")
    return Box(ymin, xmin, ymax, xmax, row["label"], line)
