"""Cells are round: the ellipse that belongs to a box, and which of several overlapping ellipses has a pixel.

Inside the image the ellipse is the one inscribed in the box. Where the border of the image cuts a cell, the box shows
only a part of it. Cut on one side, the cell is taken for a circle if less than half of it shows; its chord and depth
give the radius. Cut on two sides that meet, it is taken for the quarter of an ellipse around the corner. Either way the
visible part fills the box.

Where ellipses overlap, a pixel goes to the one whose centre is nearest in units of the ellipse's own half axes, the
first between equals; so the border between two touching cells runs where both are equally far from their centres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask
from monolayer_core.boxes import Boxes

BORDER_PX = 1.0
"""A box that ends this near to the border of the image is cut by it."""


@dataclass(frozen=True, eq=False)
class BoxedEllipse:
    """The ellipse of one box.

    Attributes
    ----------
    window
        Rows and columns of the image that the box touches; empty for a box outside the image.
    distance
        float64 ``(y, x)`` of the window: squared distance of a pixel's centre from the ellipse's centre in units of the
        half axes, so at most 1 inside.
    """

    window: tuple[slice, slice]
    distance: npt.NDArray[np.float64]

    @property
    def mask(self) -> Mask:
        """Pixels of the window whose centres the ellipse holds."""
        inside: Mask = self.distance <= 1
        return inside


def fit_ellipse(box: npt.NDArray[np.float64], height: int, width: int) -> BoxedEllipse:
    """Fit the ellipse of a box ``ymin, xmin, ymax, xmax`` in an image of `height` by `width` pixels."""
    ymin, xmin, ymax, xmax = (float(value) for value in box)
    cut_y, cut_x = _cut_side(ymin, ymax, height), _cut_side(xmin, xmax, width)
    half_y, half_x = (ymax - ymin) / 2, (xmax - xmin) / 2
    if cut_y and cut_x:
        half_y, half_x = 2 * half_y, 2 * half_x
    elif cut_y:
        half_y, half_x = _visible_circle(2 * half_y, half_x)
    elif cut_x:
        half_x, half_y = _visible_circle(2 * half_x, half_y)
    centre_y, centre_x = _centre(ymin, ymax, half_y, cut_y), _centre(xmin, xmax, half_x, cut_x)
    rows, columns = _pixels(ymin, ymax, height), _pixels(xmin, xmax, width)
    y = (np.arange(rows.start, rows.stop) + 0.5 - centre_y) / half_y
    x = (np.arange(columns.start, columns.stop) + 0.5 - centre_x) / half_x
    return BoxedEllipse((rows, columns), y[:, None] ** 2 + x[None, :] ** 2)


def draw_nearest(ellipses: Sequence[BoxedEllipse], masks: Sequence[Mask], height: int, width: int) -> LabelImage:
    """Draw one object for each mask; where masks overlap, the nearest ellipse has the pixel.

    Parameters
    ----------
    ellipses
        What decides.
    masks
        Pixels of each ellipse's window that may belong to its object.
    height, width
        Of the image, in pixels.

    Returns
    -------
    LabelImage
        Object i + 1 for mask i, if any of its pixels are left to it.
    """
    labels = np.zeros((height, width), np.int32)
    nearest = np.full((height, width), np.inf)
    for number, (ellipse, mask) in enumerate(zip(ellipses, masks, strict=True), start=1):
        wins = mask & (ellipse.distance < nearest[ellipse.window])
        nearest[ellipse.window][wins] = ellipse.distance[wins]
        labels[ellipse.window][wins] = number
    return labels


def draw_ellipses(boxes: Boxes, height: int, width: int) -> LabelImage:
    """Draw the ellipse of each box: object i + 1 for box i.

    >>> draw_ellipses(np.array([[0.0, 0, 3, 3], [0, 2, 3, 5]]), 3, 5)
    array([[1, 1, 1, 2, 2],
           [1, 1, 1, 2, 2],
           [1, 1, 1, 2, 2]], dtype=int32)
    """
    ellipses = [fit_ellipse(box, height, width) for box in boxes]
    return draw_nearest(ellipses, [ellipse.mask for ellipse in ellipses], height, width)


def _cut_side(low: float, high: float, size: int) -> int:
    """-1 where the border cuts the low side of a box, 1 the high side.

    0 where it cuts neither, or both, which tells nothing; or where the box goes on beyond the image, as some annotate.
    """
    if low < -BORDER_PX or high > size + BORDER_PX:
        return 0
    return int(high >= size - BORDER_PX) - int(low <= BORDER_PX)


def _visible_circle(depth: float, half_chord: float) -> tuple[float, float]:
    """Half axes, across the border and along it, of a cell that shows `depth` pixels of itself."""
    if depth >= half_chord:
        return max(depth / 2, half_chord), half_chord
    radius = (half_chord**2 + depth**2) / (2 * depth)
    return radius, radius


def _centre(low: float, high: float, half: float, cut: int) -> float:
    if cut < 0:
        return high - half
    return low + half if cut > 0 else (low + high) / 2


def _pixels(low: float, high: float, size: int) -> slice:
    """Pixels of an axis that the box touches and the image has."""
    start = min(max(int(np.floor(low)), 0), size)
    return slice(start, max(min(int(np.ceil(high)), size), start))
