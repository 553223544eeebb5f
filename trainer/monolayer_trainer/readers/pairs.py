"""Images with one mask or label image each: ``images/NAME.*`` and ``masks/NAME.*`` or ``labels/NAME.*``.

Pairs are found by the file's name without its suffix.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from monolayer_core.arrays import LabelImage
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.decoding import decode, decode_labels, decode_mask, decode_numbers
from monolayer_trainer.readers.files import Files, images_by_stem, open_files
from monolayer_trainer.readers.labelled_image import LabelledImage


class PairedFiles:
    """Matches the images of a folder with the files of a second one.

    Parameters
    ----------
    source
        Folder or zip file.
    partner
        Name of the folder beside ``images``.

    Raises
    ------
    DatasetError
        Two files have the same name but for the suffix, or no image has a partner.
    """

    def __init__(self, source: Path, partner: str) -> None:
        self.files: Files = open_files(source)
        self.images = images_by_stem(self.files.names, "images")
        self.partners = images_by_stem(self.files.names, partner)
        self.ids = tuple(sorted(self.images.keys() & self.partners.keys()))
        self.left_out = tuple(
            [f"{self.images[i]}: nothing of that name in {partner}" for i in sorted(set(self.images) - set(self.ids))]
            + [f"{self.partners[i]}: no image of that name" for i in sorted(set(self.partners) - set(self.ids))]
        )
        if not self.ids:
            raise DatasetError(f"{source}: no file in images has a partner of the same name in {partner}")


class MasksReader:
    """Reads images and masks; every connected region of a mask becomes an object.

    With one class a mask is binary, see `decode_mask`. With several, the value of a pixel is 0 for background or the
    number of its class, from 1.

    Parameters
    ----------
    source
        Folder or zip file that holds ``images`` and ``masks``.
    classes
        Names of the classes.
    """

    classes = None

    def __init__(self, source: Path, classes: Sequence[str] = ()) -> None:
        self._pairs = PairedFiles(source, "masks")
        self._class_count = max(len(classes), 1)
        self.ids = self._pairs.ids
        self.left_out = self._pairs.left_out

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and its mask."""
        name, mask_name = self._pairs.images[image_id], self._pairs.partners[image_id]
        image = decode(self._pairs.files.read(name), name)
        data = self._pairs.files.read(mask_name)
        if self._class_count == 1:
            labels = connected_regions(decode_mask(data, mask_name).astype(np.int32))[0]
            object_classes = None
        else:
            values = decode_numbers(data, mask_name)
            if values.max() > self._class_count:
                raise DatasetError(
                    f"{mask_name}: holds the value {values.max()}, but there are {self._class_count} classes"
                )
            labels, object_classes = connected_regions(values.astype(np.int32))
        check_size(labels, mask_name, image.pixels.shape[:2])
        return LabelledImage(image.pixels, labels, object_classes, image.pixel_size_um)


class LabelsReader:
    """Reads images and label images, in which every object has a number of its own; its pieces need not be connected.

    Parameters
    ----------
    source
        Folder or zip file that holds ``images`` and ``labels``.
    """

    classes = None

    def __init__(self, source: Path) -> None:
        self._pairs = PairedFiles(source, "labels")
        self.ids = self._pairs.ids
        self.left_out = self._pairs.left_out

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and its labels."""
        name, labels_name = self._pairs.images[image_id], self._pairs.partners[image_id]
        image = decode(self._pairs.files.read(name), name)
        labels = decode_labels(self._pairs.files.read(labels_name), labels_name)
        check_size(labels, labels_name, image.pixels.shape[:2])
        return LabelledImage(image.pixels, labels, pixel_size_um=image.pixel_size_um)


def connected_regions(class_map: LabelImage) -> tuple[LabelImage, tuple[int, ...]]:
    """Label the 8-connected regions of each class.

    Parameters
    ----------
    class_map
        int32 ``(y, x)``: 0 background, else the number of the class from 1.

    Returns
    -------
    labels
        int32 ``(y, x)``, 1 to N; first all regions of class 1, then those of class 2 and so on.
    object_classes
        Class index, from 0, of each object.

    >>> connected_regions(np.array([[1, 0, 1], [1, 0, 2]], np.int32))
    (array([[1, 0, 2],
           [1, 0, 3]], dtype=int32), (0, 0, 1))
    """
    labels = np.zeros(class_map.shape, np.int32)
    object_classes: list[int] = []
    for number in range(1, int(class_map.max(initial=0)) + 1):
        inside = class_map == number
        count, regions = cv2.connectedComponents(inside.view(np.uint8), connectivity=8)
        labels[inside] = regions[inside] + len(object_classes)
        object_classes.extend([number - 1] * (count - 1))
    return labels, tuple(object_classes)


def check_size(labels: LabelImage, name: str, size: tuple[int, ...]) -> None:
    """Refuse labels that do not fit their image."""
    if labels.shape != size:
        raise DatasetError(f"{name} measures {labels.shape}, its image {size} (y, x)")
