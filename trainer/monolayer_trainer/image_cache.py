"""Normalised images and labels kept in memory, the least recently used leaving first."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage
from monolayer_core.input_scale import shrink
from monolayer_core.pipeline import InputSpec, prepare
from monolayer_trainer.dataset import Dataset, Sample


@dataclass(frozen=True)
class CachedImage:
    """One image as the network sees it, and its objects; pixels are those of the network.

    Attributes
    ----------
    image
        uint8 ``(y, x, c)``, normalised as a whole.
    labels
        int32 ``(y, x)``.
    object_classes
        Class index of object 1 to N.
    centres
        float64 ``(M, 2)``: mean y and x of each object that has pixels.
    centre_classes
        Class index of each of these objects.
    diameter_px
        Median diameter of the circles of the objects' areas; 0 without objects.
    boxes
        intp ``(N, 4)``: top, left, bottom and right of object 1 to N, the last two excluded; zeros where it has no
        pixels.
    ground
        float64 ``(c,)``: median of what belongs to no object; of all where nothing is left.
    """

    image: ImageUInt8
    labels: LabelImage
    object_classes: npt.NDArray[np.intp]
    centres: npt.NDArray[np.float64]
    centre_classes: npt.NDArray[np.intp]
    diameter_px: float
    boxes: npt.NDArray[np.intp]
    ground: npt.NDArray[np.float64]

    @classmethod
    def of(cls, image: ImageUInt8, labels: LabelImage, object_classes: npt.NDArray[np.intp]) -> "CachedImage":
        """Find the centres and boxes of the objects and the level of the ground."""
        count = len(object_classes)
        free = image[labels == 0]
        ground = np.median(free if len(free) > 0 else image.reshape(-1, image.shape[2]), axis=0)
        centres, numbers = centres_of(labels, count)
        return cls(
            image,
            labels,
            object_classes,
            centres,
            object_classes[numbers - 1],
            median_diameter_px(labels),
            boxes_of(labels, count),
            ground,
        )

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        per_object = (self.object_classes, self.centres, self.centre_classes, self.boxes)
        return self.image.nbytes + self.labels.nbytes + sum(array.nbytes for array in per_object)


class ImageCache:
    """Reads samples of a data set, prepares them as the service does, and keeps up to `limit_bytes`, one at least."""

    def __init__(
        self,
        dataset: Dataset,
        spec: InputSpec,
        limit_bytes: int,
        *,
        input_scale: float = 1.0,
    ) -> None:
        self._dataset = dataset
        self._spec = spec
        self._input_scale = input_scale
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, CachedImage] = OrderedDict()
        self.nbytes = 0

    def read(self, sample: Sample) -> CachedImage:
        """Give the image from memory or from its files."""
        found = self._held.get(sample.id)
        if found is not None:
            self._held.move_to_end(sample.id)
            return found
        pixels, labels, object_classes = self._dataset.read(sample)
        image = shrink(prepare(pixels, self._spec), self._input_scale)
        read = CachedImage.of(image, nearest(labels, *image.shape[:2]), object_classes)
        self._held[sample.id] = read
        self.nbytes += read.nbytes
        while self.nbytes > self._limit_bytes and len(self._held) > 1:
            self.nbytes -= self._held.popitem(last=False)[1].nbytes
        return read


def nearest(labels: LabelImage, height: int, width: int) -> LabelImage:
    """Bring a label image to another size; objects that are too small for it lose all their pixels."""
    if labels.shape == (height, width):
        return labels
    rows, columns = (_middles(*sides) for sides in zip(labels.shape, (height, width), strict=True))
    return np.ascontiguousarray(labels[np.ix_(rows, columns)])


def _middles(before: int, after: int) -> npt.NDArray[np.intp]:
    """Index before of the pixel in the middle of each pixel afterwards.

    Where the middle lies between two pixels, as at half the size, they are taken in turn: always the latter would move
    every object by half a pixel.
    """
    index = np.arange(after)
    middles = (2 * index + 1) * before  # in units of 1 / (2 after), exact
    between = (middles % (2 * after) == 0) & (index % 2 == 1)
    return np.asarray(middles // (2 * after) - between, np.intp)


def centres_of(labels: LabelImage, count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Mean ``(y, x)`` and number of the objects that have pixels, in the order of their numbers."""
    y, x = np.nonzero(labels)
    numbers = labels[y, x]
    area = np.bincount(numbers, minlength=count + 1)
    sums = np.stack([np.bincount(numbers, weights=v, minlength=count + 1) for v in (y, x)], axis=1)
    present = np.flatnonzero(area)
    return sums[present] / area[present, None], present


def median_diameter_px(labels: LabelImage) -> float:
    """Median diameter of the circles of the objects' areas, in pixels; 0 without objects."""
    diameters = diameters_px(labels)
    return float(np.median(diameters)) if diameters.size else 0.0


def diameters_px(labels: LabelImage) -> npt.NDArray[np.float64]:
    """Diameter of the circle of each object's area, in pixels; of the objects that have pixels."""
    area = np.bincount(labels.ravel())[1:]
    diameters: npt.NDArray[np.float64] = np.sqrt(4 * area[area > 0] / np.pi)
    return diameters


def boxes_of(labels: LabelImage, count: int) -> npt.NDArray[np.intp]:
    """Top, left, bottom and right (excluded) of object 1 to `count`, ``(N, 4)``; zeros for one without pixels."""
    y, x = np.nonzero(labels)
    numbers = labels[y, x] - 1
    first = np.full((count, 2), max(labels.shape), np.intp)
    last = np.zeros((count, 2), np.intp)
    for axis, values in enumerate((y, x)):
        np.minimum.at(first[:, axis], numbers, values)
        np.maximum.at(last[:, axis], numbers, values + 1)
    boxes = np.concatenate([first, last], axis=1)
    boxes[last[:, 0] == 0] = 0
    return boxes
