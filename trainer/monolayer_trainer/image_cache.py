"""Normalised images and labels kept in memory, the least recently used leaving first."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage
from monolayer_core.pipeline import InputSpec, prepare
from monolayer_trainer.dataset import Dataset, Sample


@dataclass(frozen=True)
class CachedImage:
    """One image as the network sees it, and its objects.

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
    """

    image: ImageUInt8
    labels: LabelImage
    object_classes: npt.NDArray[np.intp]
    centres: npt.NDArray[np.float64]
    centre_classes: npt.NDArray[np.intp]
    diameter_px: float

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        per_object = self.object_classes.nbytes + self.centres.nbytes + self.centre_classes.nbytes
        return self.image.nbytes + self.labels.nbytes + per_object


class ImageCache:
    """Reads samples of a data set, prepares them as the service does, and keeps up to `limit_bytes`, one at least."""

    def __init__(
        self,
        dataset: Dataset,
        spec: InputSpec,
        limit_bytes: int,
    ) -> None:
        self._dataset = dataset
        self._spec = spec
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
        centres, numbers = centres_of(labels, len(object_classes))
        read = CachedImage(
            prepare(pixels, self._spec),
            labels,
            object_classes,
            centres,
            object_classes[numbers - 1],
            median_diameter_px(labels),
        )
        self._held[sample.id] = read
        self.nbytes += read.nbytes
        while self.nbytes > self._limit_bytes and len(self._held) > 1:
            self.nbytes -= self._held.popitem(last=False)[1].nbytes
        return read


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
    area = np.bincount(labels.ravel())[1:]
    return float(np.median(np.sqrt(4 * area[area > 0] / np.pi))) if area.any() else 0.0
