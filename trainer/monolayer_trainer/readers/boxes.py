"""Images with a table of boxes, see `monolayer_trainer.readers.box_table`.

Each box becomes the ellipse that belongs to it (`monolayer_trainer.readers.ellipses`), refined by the image's colours
(`monolayer_trainer.readers.refined_masks`) unless that is not wanted.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import numpy as np

from monolayer_core.boxes import Boxes
from monolayer_core.truth import number_consecutively
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.box_table import (
    ANNOTATIONS_NAME,
    DROP,
    Box,
    BoxTable,
    are_ratios,
    exclude,
    in_pixels,
    parse_boxes,
    read_exclusions,
)
from monolayer_trainer.readers.decoding import decode
from monolayer_trainer.readers.ellipses import draw_ellipses
from monolayer_trainer.readers.files import Files, images_by_stem, open_files
from monolayer_trainer.readers.labelled_image import LabelledImage
from monolayer_trainer.readers.refined_masks import draw_refined

BoxMasks: TypeAlias = Literal["refined", "ellipse"]
"""What is drawn into a box."""

log = logging.getLogger(__name__)


class BoxesReader:
    """Reads images and draws masks into their boxes.

    Parameters
    ----------
    source
        Folder or zip file that holds ``annotations.csv`` and the images, beside it or in folders.
    classes
        Names of the classes in their order; by default the labels of the table in alphabetical order.
    masks
        What is drawn into a box.
    exclusions
        Table of boxes to drop or to relabel.

    Raises
    ------
    DatasetError
        A table is missing or malformed, holds a label that is not among `classes`, or the exclusions name an image that
        has no boxes.
    """

    def __init__(
        self,
        source: Path,
        classes: Sequence[str] = (),
        *,
        masks: BoxMasks = "refined",
        exclusions: Path | None = None,
    ) -> None:
        self._files = open_files(source)
        self._boxes = _read_annotations(self._files)
        self._masks = masks
        self._exclusions_place = str(exclusions)
        self._exclusions = {} if exclusions is None else read_exclusions(exclusions)
        unknown_images = sorted(set(self._exclusions) - set(self._boxes))
        if unknown_images:
            raise DatasetError(f"{exclusions} names the image {unknown_images[0]}, of which there are no boxes")
        self._images = images_by_stem(self._files.names)
        self.classes: tuple[str, ...] = tuple(classes) or tuple(sorted(self._labels()))
        unknown = self._labels() - set(self.classes)
        if unknown:
            raise DatasetError(
                f"{ANNOTATIONS_NAME} holds the label {min(unknown)}, the classes are {', '.join(self.classes)}"
            )
        self._are_ratios = are_ratios([box for boxes in self._boxes.values() for box in boxes])
        self._exclusions_are_ratios = are_ratios([one.box for rows in self._exclusions.values() for one in rows])
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

        Raises
        ------
        DatasetError
            The image is damaged, or an exclusion fits no box of it.
        """
        name = self._images[image_id]
        image = decode(self._files.read(name), name)
        height, width = image.pixels.shape[:2]
        boxes, boxes_px = self._boxes_of(image_id, height, width)
        if self._masks == "refined":
            drawn = draw_refined(image.pixels, boxes_px)
        else:
            drawn = draw_ellipses(boxes_px, height, width)
        visible = np.unique(drawn[drawn > 0])
        for number in sorted(set(range(1, len(boxes) + 1)) - set(visible.tolist())):
            log.warning(
                "%s, line %d: outside the image or covered by other boxes", ANNOTATIONS_NAME, boxes[number - 1].line
            )
        return LabelledImage(
            image.pixels,
            number_consecutively(drawn),
            tuple(self.classes.index(boxes[number - 1].label) for number in visible),
            image.pixel_size_um,
            np.clip(boxes_px[visible - 1], 0, [height, width, height, width]),
        )

    def _boxes_of(self, image_id: str, height: int, width: int) -> tuple[list[Box], Boxes]:
        """Boxes of an image, in the table's units and in pixels, without those that are excluded."""
        boxes = self._boxes[image_id]
        boxes_px = in_pixels(boxes, height, width, ratios=self._are_ratios)
        exclusions = self._exclusions.get(image_id, [])
        at = in_pixels([one.box for one in exclusions], height, width, ratios=self._exclusions_are_ratios)
        return exclude(boxes, boxes_px, exclusions, at, self._exclusions_place)

    def _labels(self) -> set[str]:
        """Labels of the boxes once the exclusions are followed."""
        counts = Counter(box.label for boxes in self._boxes.values() for box in boxes)
        for exclusion in (one for rows in self._exclusions.values() for one in rows):
            counts[exclusion.box.label] -= 1
            counts[exclusion.use] += exclusion.use != DROP
        return {label for label, count in counts.items() if count > 0}


def _read_annotations(files: Files) -> BoxTable:
    names = [name for name in files.names if PurePosixPath(name).name == ANNOTATIONS_NAME]
    if len(names) != 1:
        raise DatasetError(f"one {ANNOTATIONS_NAME} is needed, there are {len(names)}")
    return parse_boxes(files.read(names[0]).decode("utf-8-sig"), names[0])
