"""Masks of cells from boxes: the ellipse of each box, refined by colour.

The ground is what no ellipse covers. How far a pixel's colour is from the median of the ground (CIE L*a*b*, slightly
smoothed) says how likely it belongs to a cell. Each cell is cut at a threshold of its own, because white cells are much
fainter at their rim than red ones: of several, relative to the cell's median distance, the one whose mask agrees best
with the ellipse and reaches the sides of the annotated box. Holes are filled, since red cells are pale in the middle,
and outlines smoothed. Where no threshold gives a plausible mask the ellipse stays.

GrabCut and one threshold for the whole image were tried and left: both lose the pale cytoplasm of white cells and
shrink red ones inside their boxes.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask, Pixels
from monolayer_core.boxes import Boxes, as_boxes, box_iou
from monolayer_core.normalization import normalize
from monolayer_trainer.readers.ellipses import BoxedEllipse, draw_nearest, fit_ellipse

Distances = npt.NDArray[np.float32]

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Where a cell may be cut, as parts of the median distance from the ground inside its ellipse."""

SMOOTHING_PX = 1.0
"""Standard deviation of the smoothing before colours are compared."""

GROUND_DISTANCE = 1.2
"""Ground is sought beyond this squared distance from all ellipses, in half axes."""

REACH = 1.4
"""A cell ends at this squared distance from its centre, in half axes; the corners of the box lie at 2."""

CORE = 0.36
"""Within this squared distance all is cell."""

ROUNDING = 0.05
"""Outlines are smoothed with a Gaussian of this part of the box's shorter side: spurs and notches vanish."""

MIN_ELLIPSE_IOU = 0.65
MIN_BOX_IOU = 0.8
"""What makes a mask plausible: its overlap with the ellipse, and its bounding box's with the annotated box."""


def draw_refined(pixels: Pixels, boxes: Boxes) -> LabelImage:
    """Draw one object for each box.

    Parameters
    ----------
    pixels : (y, x) or (y, x, 3)
        Grey or RGB of any real type.
    boxes : float64 (box, 4)
        ymin, xmin, ymax, xmax in pixels.

    Returns
    -------
    int32 (y, x)
        Object i + 1 for box i, in one piece, if any of its pixels are left to it.
    """
    height, width = pixels.shape[:2]
    ellipses = [fit_ellipse(box, height, width) for box in boxes]
    covered = np.zeros((height, width), np.int32)
    is_ground = np.ones((height, width), np.bool_)
    for ellipse in ellipses:
        covered[ellipse.window] += ellipse.mask
        is_ground[ellipse.window] &= ellipse.distance > GROUND_DISTANCE
    masks = [ellipse.mask for ellipse in ellipses]
    if is_ground.any():
        distance = _distance_from_ground(pixels, is_ground)
        clipped = np.clip(boxes, 0, [height, width, height, width])
        masks = [
            _refine(distance[ellipse.window], covered[ellipse.window], ellipse, box)
            for ellipse, box in zip(ellipses, clipped, strict=True)
        ]
    return _in_one_piece(draw_nearest(ellipses, masks, height, width), ellipses)


def _distance_from_ground(pixels: Pixels, is_ground: Mask) -> Distances:
    """Distance of each pixel's colour from the median colour of the ground, ``(y, x)``."""
    image = cv2.GaussianBlur(normalize(pixels).astype(np.float32) / 255, (0, 0), SMOOTHING_PX)
    if image.ndim == 2:
        return np.asarray(np.abs(image - np.median(image[is_ground])), np.float32)
    colours = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    return np.asarray(np.linalg.norm(colours - np.median(colours[is_ground], axis=0), axis=2), np.float32)


def _refine(distance: Distances, covered: npt.NDArray[np.int32], ellipse: BoxedEllipse, box: Boxes) -> Mask:
    """Choose the best mask of one cell within its window; `box` is clipped to the image."""
    inside = ellipse.mask
    if not inside.any():
        return inside
    is_elsewhere = (covered > 0) & ~inside
    zone = (ellipse.distance <= REACH) & ~is_elsewhere
    core = ellipse.distance <= CORE
    contrast = float(np.median(distance[inside]))
    sigma_px = max(ROUNDING * min(inside.shape), 0.5)
    best, best_agreement = inside, 0.0
    for threshold in THRESHOLDS:
        mask = _round_off((zone & (distance > threshold * contrast)) | core, sigma_px) & zone
        with_ellipse = np.count_nonzero(mask & inside) / np.count_nonzero(mask | inside)
        with_box = _agreement_with_box(mask, ellipse.window, box)
        if with_ellipse >= MIN_ELLIPSE_IOU and with_box >= MIN_BOX_IOU and with_ellipse + with_box > best_agreement:
            best, best_agreement = mask, with_ellipse + with_box
    return best


def _round_off(mask: Mask, sigma_px: float) -> Mask:
    """Keep the largest piece, fill its holes and smooth its outline; beyond the window it goes on as it ends there."""
    piece = _largest_piece(mask).view(np.uint8)
    outlines, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(piece.shape, np.float32), outlines, -1, 1.0, cv2.FILLED)
    smooth: Mask = cv2.GaussianBlur(filled, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE) > 0.5
    return _largest_piece(smooth)


def _largest_piece(mask: Mask) -> Mask:
    """Keep the largest 4-connected piece of a mask; an empty one stays empty."""
    _, pieces, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if len(statistics) <= 2:
        return mask
    largest: Mask = pieces == 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    return largest


def _agreement_with_box(mask: Mask, window: tuple[slice, slice], box: Boxes) -> float:
    """IoU of a mask's bounding box with the annotated box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0.0
    top, left = rows[0] + window[0].start, columns[0] + window[1].start
    bounds = as_boxes(np.array([[top, left, rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1]]))
    return float(box_iou(bounds, box)[0, 0])


def _in_one_piece(labels: LabelImage, ellipses: Sequence[BoxedEllipse]) -> LabelImage:
    """Drop what a neighbour has cut off from an object."""
    for number, ellipse in enumerate(ellipses, start=1):
        there = labels[ellipse.window]
        mask = there == number
        there[mask & ~_largest_piece(mask)] = 0
    return labels
