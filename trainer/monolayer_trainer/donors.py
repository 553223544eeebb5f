"""Cells cut out of one image, to be pasted into another.

A donor is one cell, or several that lie together, turned by any angle, mirrored and brought to the scale of the crop.
What is kept is not the grey values but their difference from the ground around the cell: added to the ground of the
crop they match its brightness, and halos add up as they do under the microscope.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import Pixels
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.image_cache import CachedImage

REACH_LOW, REACH_HIGH = 0.12, 0.35
"""Radius in which the cells of one donor lie, as a part of the crop's side."""

LEAST_GROUND_PX = 30
"""With fewer pixels of ground around it, a donor is compared with the ground of its whole image."""

_FOREIGN = -1  # other cells, and what lies outside the window that was cut
_FOREIGN_FADE_PX = 3.0


@dataclass(frozen=True)
class Donor:
    """Cells as they are pasted.

    Attributes
    ----------
    contrast
        float32 ``(y, x, c)``: grey values less those of the ground.
    labels
        int32 ``(y, x)``: 1 to K inside the cells, 0 elsewhere.
    object_classes
        Class index of cell 1 to K.
    clear
        float32 ``(y, x)``: 1 where the donor shows its own cells and ground, falling to 0 where it does not.
    mean_area_px
        Of the cells, after scaling.
    """

    contrast: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    object_classes: npt.NDArray[np.intp]
    clear: npt.NDArray[np.float32]
    mean_area_px: float


def whole_objects(source: CachedImage) -> npt.NDArray[np.intp]:
    """Numbers of the objects that have pixels and do not touch the frame of the image."""
    height, width = source.labels.shape
    top, left, bottom, right = source.boxes.T
    inside = (bottom > top) & (top > 0) & (left > 0) & (bottom < height) & (right < width)
    return np.flatnonzero(inside) + 1


def cut_donor(
    source: CachedImage,
    whole: npt.NDArray[np.intp],
    *,
    scale: float,
    side: int,
    rng: np.random.Generator,
    config: DenseConfig,
) -> Donor:
    """Cut one donor at random.

    Parameters
    ----------
    source
        Image to cut from.
    whole
        Its objects to choose from, see `whole_objects`; one at least.
    scale
        Magnification of the crop.
    side
        Height and width of the crop.
    rng
        Chooses the cells, their angle, size and contrast.
    config
        How strongly they are changed.
    """
    scale *= 1 + rng.uniform(-1, 1) * config.scale_spread
    chosen = _choose(source, whole, side_px=side / scale, rng=rng, single=config.single)
    margin = int(np.ceil(config.rim_px)) + 1
    height, width = source.labels.shape
    boxes = source.boxes[chosen - 1]
    top, left = np.maximum(boxes[:, :2].min(axis=0) - margin, 0)
    bottom, right = np.minimum(boxes[:, 2:].max(axis=0) + margin, (height, width))
    there = source.labels[top:bottom, left:right]
    number = np.full(len(source.object_classes) + 1, _FOREIGN, np.int16)
    number[0] = 0
    number[chosen] = np.arange(1, len(chosen) + 1)
    contrast = _contrast(source, (slice(top, bottom), slice(left, right)))
    contrast *= 1 + np.float32(rng.uniform(-1, 1) * config.contrast_spread)
    contrast, labels = _transform(contrast, number[there], scale, rng)
    contrast, labels = _trim(contrast, labels, int(np.ceil(config.rim_px * scale)) + 1)
    own = labels > 0
    return Donor(
        contrast=contrast.reshape(*labels.shape, -1),
        labels=np.where(own, labels, 0).astype(np.int32),
        object_classes=source.object_classes[chosen - 1],
        clear=_clearness(labels),
        mean_area_px=np.count_nonzero(own) / len(chosen),
    )


def _choose(
    source: CachedImage, whole: npt.NDArray[np.intp], *, side_px: float, rng: np.random.Generator, single: float
) -> npt.NDArray[np.intp]:
    """Numbers of one cell, or of all cells around it; a cell that is small in the crop is never taken alone."""
    anchor = whole[rng.integers(len(whole))]
    boxes = source.boxes[whole - 1]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    box = source.boxes[anchor - 1]
    is_small = max(box[2] - box[0], box[3] - box[1]) < REACH_LOW * side_px
    reach_px = rng.uniform(REACH_LOW, REACH_HIGH) * side_px
    if rng.random() < single and not is_small:
        return np.array([anchor])
    near = np.linalg.norm(centres - (box[:2] + box[2:]) / 2, axis=1) <= reach_px
    return np.asarray(whole[near], np.intp)


def _contrast(source: CachedImage, window: tuple[slice, slice]) -> npt.NDArray[np.float32]:
    """Grey values in a window less those of the ground there."""
    image = source.image[window]
    ground = image[::3, ::3][source.labels[window][::3, ::3] == 0]
    level = np.median(ground, axis=0) if len(ground) >= LEAST_GROUND_PX else source.ground
    return image.astype(np.float32) - level.astype(np.float32)


def _transform(
    contrast: npt.NDArray[np.float32], labels: npt.NDArray[np.int16], scale: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
    """Scale, mirror and turn by any angle; the result holds all of it."""
    angle, mirrored = rng.uniform(0, 2 * np.pi), rng.random() < 0.5
    if scale < 0.7:  # linear interpolation would skip pixels
        size = max(round(contrast.shape[1] * scale), 1), max(round(contrast.shape[0] * scale), 1)
        contrast = np.asarray(cv2.resize(contrast, size, interpolation=cv2.INTER_AREA), np.float32)
        labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), np.int16)
        scale = 1.0
    height, width = labels.shape
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        linear[:, 0] *= -1
    extent = np.abs(linear) @ (width, height)
    matrix = np.column_stack([linear, extent / 2 - linear @ ((width - 1) / 2, (height - 1) / 2)])
    size = int(np.ceil(extent[0])), int(np.ceil(extent[1]))
    turned = cv2.warpAffine(contrast, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    turned_labels = cv2.warpAffine(
        labels, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(_FOREIGN,)
    )
    return np.asarray(turned, np.float32), np.asarray(turned_labels, np.int16)


def _trim(
    contrast: npt.NDArray[np.float32], labels: npt.NDArray[np.int16], margin: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16]]:
    """Cut off what lies further than `margin` from the box around the cells."""
    own = labels > 0
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    if len(rows) == 0:  # scaled away
        return contrast, labels
    window = (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )
    return contrast[window], labels[window]


def _clearness(labels: Pixels) -> npt.NDArray[np.float32]:
    foreign = labels == _FOREIGN
    if not foreign.any():
        return np.ones(labels.shape, np.float32)
    away = cv2.distanceTransform((~foreign).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.asarray(np.clip(np.asarray(away, np.float32) / _FOREIGN_FADE_PX, 0, 1), np.float32)
