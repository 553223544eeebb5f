"""Cutting a crop out of an image at a random place, size and orientation, image and labels alike.

Images are shrunk by area averaging and enlarged linearly; labels take the nearest pixel. Where a crop leaves the image,
the image is mirrored at its edge, as the tiler does for images smaller than a tile; a mirrored object keeps its number,
so there is no boundary between it and its own image.
"""

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8, LabelImage, Pixels
from monolayer_trainer.augmentation import AugmentationConfig

ELASTIC_GRID = 5
"""Points per side of the coarse grid on which the bending is drawn."""


def cut(
    image: ImageUInt8, labels: LabelImage, *, y: int, x: int, side: int, size: int
) -> tuple[ImageUInt8, LabelImage]:
    """Cut the square of `side` pixels whose first pixel is ``(y, x)`` and bring it to `size` x `size`.

    Parameters
    ----------
    image, labels
        uint8 ``(y, x, c)`` and int32 ``(y, x)``.
    y, x
        In image coordinates; may lie outside.
    side, size
        Pixels before and after.
    """
    height, width = labels.shape
    rows, columns = slice(max(y, 0), min(y + side, height)), slice(max(x, 0), min(x + side, width))
    patch: Pixels = image[rows, columns]
    patch_labels: Pixels = labels[rows, columns]
    border = (max(-y, 0), max(y + side - height, 0), max(-x, 0), max(x + side - width, 0))
    if any(border):
        patch = cv2.copyMakeBorder(patch, *border, cv2.BORDER_REFLECT_101)
        patch_labels = cv2.copyMakeBorder(patch_labels, *border, cv2.BORDER_REFLECT_101)
    if side != size:
        method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        patch = cv2.resize(patch, (size, size), interpolation=method)
        patch_labels = cv2.resize(patch_labels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.ascontiguousarray(patch.reshape(size, size, -1)), np.ascontiguousarray(patch_labels)


def draw_scale(rng: np.random.Generator, config: AugmentationConfig, diameter_px: float) -> float:
    """Draw a magnification: 1 with the probability `native`, else log-uniformly from `smallest_scale` on."""
    if rng.random() < config.native:
        return 1.0
    low = smallest_scale(config, diameter_px)
    return float(np.exp(rng.uniform(np.log(min(low, config.scale_high)), np.log(config.scale_high))))


def smallest_scale(config: AugmentationConfig, diameter_px: float) -> float:
    """Give the smallest magnification at which an image is shown whose objects have this median diameter.

    Images are not shrunk so far that their objects would be specks: the lower limit rises to where the median diameter
    becomes `least_object_px`, but not above 1.
    """
    return max(config.scale_low, min(1.0, config.least_object_px / diameter_px)) if diameter_px else config.scale_low


def orient(
    image: ImageUInt8, labels: LabelImage, rng: np.random.Generator, config: AugmentationConfig
) -> tuple[ImageUInt8, LabelImage]:
    """Mirror and turn by right angles."""
    if rng.random() < config.flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    if rng.random() < config.turn:
        turns = int(rng.integers(1, 4))
        image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def bend(
    image: ImageUInt8, labels: LabelImage, rng: np.random.Generator, sigma_px: float
) -> tuple[ImageUInt8, LabelImage]:
    """Displace pixels by a smooth random field whose coarse grid points have this standard deviation."""
    height, width = labels.shape
    coarse = rng.normal(0, sigma_px, (2, ELASTIC_GRID, ELASTIC_GRID)).astype(np.float32)
    dy, dx = (cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC) for field in coarse)
    x = dx + np.arange(width, dtype=np.float32)[None, :]
    y = dy + np.arange(height, dtype=np.float32)[:, None]
    bent = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    # OpenCV remaps no int32; float32 holds every label up to 2**24.
    bent_labels = cv2.remap(labels.astype(np.float32), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(bent, np.uint8).reshape(image.shape), np.asarray(bent_labels, np.int32)
