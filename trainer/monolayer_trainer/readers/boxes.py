"""Images with a table of boxes: ``annotations.csv`` with the columns ``image,xmin,ymin,xmax,ymax,label``.

Cells are round: each box becomes the ellipse inscribed in it. Where ellipses overlap, a pixel goes to the one whose
centre is nearest in units of the ellipse's own half axes, the first in the table between equals; so the border
between two touching cells runs where both are equally far from their centres.

Coordinates are ratios of width and height when none in the table exceeds 1, else pixels. In pixels, ``xmin = 3, xmax
= 7`` spans the columns 3 to 6.
"""

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from monolayer_core.arrays import LabelImage
from monolayer_core.truth import number_consecutively
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.decoding import decode
from monolayer_trainer.readers.files import images_by_stem, open_files
from monolayer_trainer.readers.labelled_image import LabelledImage

ANNOTATIONS_NAME = "annotations.csv"
COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax", "label")


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Box:
    """A box in pixels or ratios, as the table says, and the line of the table it stands in."""

    ymin: float
    xmin: float
    ymax: float
    xmax: float
    label: str
    line: int


class BoxesReader:
    """Reads images and ellipses drawn into their boxes.

    Parameters
    ----------
    source
        Folder or zip file that holds ``annotations.csv`` and the images, beside it or in folders.
    classes
        Names of the classes in their order; by default the labels of the table in alphabetical order.

    Raises
    ------
    DatasetError
        The table is missing or malformed, or holds a label that is not among `classes`.
    """

    def __init__(self, source: Path, classes: Sequence[str] = ()) -> None:
        self._files = open_files(source)
        self._boxes = self._read_table()
        self._images = images_by_stem(self._files.names)
        found = sorted({box.label for boxes in self._boxes.values() for box in boxes})
        self.classes: tuple[str, ...] = tuple(classes) or tuple(found)
        unknown = set(found) - set(self.classes)
        if unknown:
            raise DatasetError(
                f"{ANNOTATIONS_NAME} holds the label {min(unknown)}, the classes are {', '.join(self.classes)}"
            )
        self._are_ratios = all(max(box.ymax, box.xmax) <= 1 for boxes in self._boxes.values() for box in boxes)
        self.ids = tuple(sorted(self._images.keys() & self._boxes.keys()))
        self.left_out = tuple(
            [f"{self._images[i]}: not in {ANNOTATIONS_NAME}" for i in sorted(self._images.keys() - self._boxes.keys())]
            + [
                f"{i}: in {ANNOTATIONS_NAME}, but no such image"
                for i in sorted(self._boxes.keys() - self._images.keys())
            ]
        )

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and draw its objects.

        A box that lies wholly outside the image, or is covered by others, gives no object; the log names its line.
        """
        name = self._images[image_id]
        image = decode(self._files.read(name), name)
        height, width = image.pixels.shape[:2]
        scale = np.array([height, width] * 2 if self._are_ratios else [1.0] * 4)
        boxes = self._boxes[image_id]
        drawn = draw_ellipses(np.array([(b.ymin, b.xmin, b.ymax, b.xmax) for b in boxes]) * scale, height, width)
        visible = np.unique(drawn[drawn > 0])
        for number in sorted(set(range(1, len(boxes) + 1)) - set(visible.tolist())):
            log.warning(
                "%s, line %d: outside the image or covered by other boxes", ANNOTATIONS_NAME, boxes[number - 1].line
            )
        object_classes = tuple(self.classes.index(boxes[number - 1].label) for number in visible)
        return LabelledImage(image.pixels, number_consecutively(drawn), object_classes, image.pixel_size_um)

    def _read_table(self) -> dict[str, list[Box]]:
        names = [name for name in self._files.names if PurePosixPath(name).name == ANNOTATIONS_NAME]
        if len(names) != 1:
            raise DatasetError(f"one {ANNOTATIONS_NAME} is needed, there are {len(names)}")
        reader = csv.DictReader(io.StringIO(self._files.read(names[0]).decode("utf-8-sig"), newline=""))
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise DatasetError(f"{names[0]} needs the columns {', '.join(COLUMNS)}")
        boxes: defaultdict[str, list[Box]] = defaultdict(list)
        for row in reader:
            boxes[PurePosixPath(row["image"]).stem].append(
                _parse(row, f"{names[0]}, line {reader.line_num}", reader.line_num)
            )
        if not boxes:
            raise DatasetError(f"{names[0]} holds no box")
        return dict(boxes)


def _parse(row: dict[str, str], place: str, line: int) -> Box:
    try:
        ymin, xmin, ymax, xmax = (float(row[column]) for column in ("ymin", "xmin", "ymax", "xmax"))
    except (TypeError, ValueError):
        raise DatasetError(f"{place}: the coordinates must be numbers") from None
    if not (ymin < ymax and xmin < xmax):  # also refuses NaN
        raise DatasetError(f"{place}: the box of {row['image']} has no extent")
    return Box(ymin, xmin, ymax, xmax, row["label"], line)


def draw_ellipses(boxes: np.ndarray[tuple[int, int], np.dtype[np.float64]], height: int, width: int) -> LabelImage:
    """Draw the ellipse inscribed in each box.

    Parameters
    ----------
    boxes
        ``(N, 4)``: ymin, xmin, ymax, xmax in pixels, the pixel (0, 0) spanning 0 to 1.
    height, width
        Of the image, in pixels.

    Returns
    -------
    LabelImage
        Object i + 1 for box i. A pixel belongs to an ellipse that holds its centre.

    >>> draw_ellipses(np.array([[0.0, 0, 3, 3], [0, 2, 3, 5]]), 3, 5)
    array([[1, 1, 1, 2, 2],
           [1, 1, 1, 2, 2],
           [1, 1, 1, 2, 2]], dtype=int32)
    """
    labels = np.zeros((height, width), np.int32)
    nearest = np.full((height, width), np.inf)
    for number, (ymin, xmin, ymax, xmax) in enumerate(boxes, start=1):
        rows = slice(max(int(np.floor(ymin)), 0), min(max(int(np.ceil(ymax)), 0), height))
        columns = slice(max(int(np.floor(xmin)), 0), min(max(int(np.ceil(xmax)), 0), width))
        y = (np.arange(rows.start, rows.stop) + 0.5 - (ymin + ymax) / 2) / ((ymax - ymin) / 2)
        x = (np.arange(columns.start, columns.stop) + 0.5 - (xmin + xmax) / 2) / ((xmax - xmin) / 2)
        distance = y[:, None] ** 2 + x[None, :] ** 2
        wins = (distance <= 1) & (distance < nearest[rows, columns])
        nearest[rows, columns][wins] = distance[wins]
        labels[rows, columns][wins] = number
    return labels
