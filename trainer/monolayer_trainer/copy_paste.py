"""Crops filled with cells of other places and images, up to a closed layer.

The cells that are there stay on top; each donor goes beneath them, at the place where it fits best, and gets only the
ground that is still free. So no label is ever overwritten, and a layer closes as a real one does: cells meet without
gaps, with a seam of halo between them that is strong in one crop and faint in another.

After G. Ghiasi et al., "Simple copy-paste is a strong data augmentation method for instance segmentation", CVPR 2021.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.donors import Donor, cut_donor, whole_objects
from monolayer_trainer.image_cache import CachedImage
from monolayer_trainer.placement import find_place

CLOSED_FROM = 0.6
"""Coverage from which on narrow gaps between cells count as cell, wider ones the denser the layer."""

EDGE_PX = 0.7
"""Softness of the edges of pasted cells, as the standard deviation of a Gaussian."""

FUTILE_DONORS = 6
"""So many donors in a row that found no room end the filling."""


class Filled(NamedTuple):
    """A crop: image uint8 ``(y, x, c)``, labels int32 ``(y, x)`` and the class index of object 1 to N."""

    image: ImageUInt8
    labels: LabelImage
    object_classes: npt.NDArray[np.intp]


def fill(
    crop: Filled,
    *,
    ground: npt.NDArray[np.floating],
    scale: float,
    coverage: float,
    draw: Callable[[], CachedImage],
    rng: np.random.Generator,
    config: DenseConfig,
) -> Filled:
    """Paste cells into a crop until a part of it is covered.

    Parameters
    ----------
    crop
        As it was cut, at its scale.
    ground
        Grey value of the ground of its image, one for each channel.
    scale
        Magnification of the crop.
    coverage
        Part of the crop to cover, 0 to 1; what is covered more densely already stays as it is.
    draw
        Gives an image to take cells from.
    rng
        Decides everything that is random.
    config
        How cells are changed and joined.

    Returns
    -------
    Filled
        A new crop. Pasted cells have numbers above those of the crop; a cell that shows in several pieces, parted by
        cells above it, has a number for each. Where no image gives a whole cell, or room is found for none, the
        coverage is not reached.
    """
    layer = _Layer(crop, ground, scale, seam=rng.uniform(config.seam_low, 1), config=config)
    sources = [draw() for _ in range(rng.integers(1, config.donor_images, endpoint=True))]
    pools = [(source, whole) for source in sources if len(whole := whole_objects(source)) > 0]
    touching = rng.uniform(0, config.touching)
    futile = 0
    for _ in range(config.most_donors if pools else 0):
        if layer.coverage >= coverage or futile >= FUTILE_DONORS:
            break
        source, whole = pools[rng.integers(len(pools))]
        donor = cut_donor(source, whole, scale=scale, side=crop.labels.shape[0], rng=rng, config=config)
        place = find_place(layer.labels > 0, donor.labels > 0, touching, rng)
        futile = 0 if layer.paste(donor, place) else futile + 1
    layer.close_gaps(config.closed_gap_px * scale * (coverage - CLOSED_FROM) / (1 - CLOSED_FROM))
    return layer.filled()


class _Layer:
    """A crop while it is being filled."""

    def __init__(
        self, crop: Filled, ground: npt.NDArray[np.floating], scale: float, *, seam: float, config: DenseConfig
    ) -> None:
        self._values = crop.image.astype(np.float32)
        self.labels = crop.labels.copy()
        self._classes = [*crop.object_classes]
        self._ground = ground.astype(np.float32)
        self._scale = scale
        self._seam = np.float32(seam)
        self._rim_px = max(config.rim_px * scale, 1e-3)
        self._config = config

    @property
    def coverage(self) -> float:
        """Part of the crop that cells cover."""
        return np.count_nonzero(self.labels) / self.labels.size

    def paste(self, donor: Donor, place: tuple[int, int]) -> bool:
        """Put a donor beneath what is there; whether any of it shows."""
        here, there = _overlap(place, donor.labels.shape, self.labels.shape)
        labels = self.labels[here]
        pieces, cells = self._pieces(np.where(labels == 0, donor.labels[there], 0), donor.mean_area_px)
        if len(cells) == 0:
            return False
        shown = pieces > 0
        np.add(pieces, len(self._classes), out=labels, where=shown)
        self._classes += [donor.object_classes[cell - 1] for cell in cells]
        away = cv2.distanceTransform((~shown).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
        halo = np.clip((self._rim_px - np.asarray(away, np.float32)) / (0.6 * self._rim_px), 0, 1)
        halo *= donor.clear[there]
        halo[donor.labels[there] > 0] = 0  # what lies beneath other cells is no halo
        halo[labels > 0] *= self._seam
        values = self._values[here]
        values += (self._ground - values) * (1 - self._seam) * self._softened(shown)[..., None]
        values += donor.contrast[there] * self._softened(np.where(shown, np.float32(1), halo))[..., None]
        return True

    def _softened(self, weight: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Take the hard edge away, about as wide as that of the image's own cells."""
        sigma = EDGE_PX * max(self._scale, 1)
        return np.asarray(cv2.GaussianBlur(weight.astype(np.float32), (0, 0), sigma), np.float32)

    def _pieces(self, free: LabelImage, mean_area_px: float) -> tuple[LabelImage, npt.NDArray[np.intp]]:
        """Pieces of cells that are large and broad enough, numbered from 1, and for each the cell it is of."""
        width = max(round(self._config.strip_px * self._scale), 1)
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        broad = cv2.morphologyEx((free > 0).view(np.uint8), cv2.MORPH_OPEN, brush)
        count, parts = cv2.connectedComponents(broad, connectivity=4)
        cells = int(free.max(initial=0)) + 1
        piece = np.where(broad > 0, parts * cells + free, 0)
        area = np.bincount(piece.ravel(), minlength=count * cells)
        area[0] = 0
        enough = np.flatnonzero(area >= max(self._config.smallest_piece * mean_area_px, 4))
        number = np.zeros(len(area), np.int32)
        number[enough] = np.arange(1, len(enough) + 1)
        return number[piece], enough % cells

    def close_gaps(self, width_px: float) -> None:
        """Give gaps between cells that are narrower than this, and holes as small, to the nearest cell."""
        width = round(width_px)
        mask = (self.labels > 0).view(np.uint8)
        if width < 2 or mask.all() or not mask.any():
            return
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        framed = cv2.copyMakeBorder(mask, *(width,) * 4, cv2.BORDER_REPLICATE)
        closed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, brush)[width:-width, width:-width]
        _, holes, stats, _ = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
        is_small = stats[:, cv2.CC_STAT_AREA] <= width**2
        is_small[0] = True  # here 0 stands for what is closed
        gap = is_small[holes] & (mask == 0)
        _, nearest = cv2.distanceTransformWithLabels(
            1 - mask, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        number_of = np.zeros(int(nearest.max()) + 1, np.int32)
        inside = mask > 0
        number_of[nearest[inside]] = self.labels[inside]
        self.labels[gap] = number_of[nearest[gap]]

    def filled(self) -> Filled:
        """Give the crop as it is now."""
        image = np.clip(self._values + 0.5, 0, 255).astype(np.uint8)
        return Filled(image, self.labels, np.asarray(self._classes, np.intp))


def _overlap(
    place: tuple[int, int], inner: tuple[int, ...], outer: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the outer and of the inner array where the inner, first pixel at `place`, lies within the outer."""
    bounds = [
        (max(first, 0), max(min(first + length, limit), 0))
        for first, length, limit in zip(place, inner, outer, strict=True)
    ]
    (top, bottom), (left, right) = bounds
    y, x = place
    return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))
