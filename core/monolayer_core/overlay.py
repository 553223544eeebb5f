"""Outlines of objects over the picture, for people to look at."""

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage, Mask
from monolayer_core.levels import count_levels, look_up
from monolayer_core.normalization import stretch_of
from monolayer_core.row_runs import RowRuns
from monolayer_core.row_source import RowSource, bands

_GOLDEN_RATIO = 0.618_033_988_749_895
CLASS_COLOURS: tuple[tuple[int, int, int], ...] = ((0, 255, 0), (255, 0, 255), (0, 255, 255), (255, 160, 0))
"""RGB of the first, second, ... class; used again from the start where there are more."""


def draw_overlay(
    image: ImageUInt8, labels: LabelImage, *, class_ids: npt.NDArray[np.integer] | None = None
) -> ImageUInt8:
    """Draw the outline of every object over an image.

    Parameters
    ----------
    image
        ``(y, x)``, ``(y, x, 1)`` or ``(y, x, 3)`` RGB.
    labels
        ``(y, x)``, 0 for background and 1 to N for the objects.
    class_ids
        Class of each object, counted from 0, entry i for label i + 1: colours are then those of `CLASS_COLOURS`.
        Otherwise each label has a colour of its own, always the same one.

    Returns
    -------
    ImageUInt8
        ``(y, x, 3)`` RGB; the input is left as it is.

    Examples
    --------
    >>> labels = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    >>> draw_overlay(np.zeros((3, 4), dtype=np.uint8), labels, class_ids=np.array([0]))[1]
    array([[  0,   0,   0],
           [  0, 255,   0],
           [  0, 255,   0],
           [  0,   0,   0]], dtype=uint8)
    """
    grey = image.ndim == 2 or image.shape[2] == 1
    drawn: ImageUInt8 = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)) if grey else np.array(image, order="C")
    edge = np.flatnonzero(outlines(labels))
    objects = labels.reshape(-1)[edge]
    if class_ids is None:
        colours = _colours_of_labels(int(labels.max(initial=0)))[objects]
    else:
        colours = np.array(CLASS_COLOURS, dtype=np.uint8)[class_ids[objects - 1] % len(CLASS_COLOURS)]
    drawn.reshape(-1, 3)[edge] = colours
    return drawn


def draw_overlay_by_rows(source: RowSource, runs: RowRuns) -> ImageUInt8:
    """Stretch an image as `normalization.normalize` does and draw the outline of every object over it.

    The result is that of `draw_overlay`, and the only thing of the size of the image.

    Parameters
    ----------
    source
        The image as it is stored.
    runs
        The objects.

    Returns
    -------
    ImageUInt8
        ``(y, x, 3)`` RGB.
    """
    levels = count_levels(source)
    table = stretch_of(levels.counts)
    drawn = np.empty((source.height, source.width, 3), dtype=np.uint8)
    for rows in bands(source.height, source.width):
        around = slice(max(rows.start - 1, 0), min(rows.stop + 1, source.height))  # outlines look at the neighbours
        image = look_up(levels.place(source.read(around)), table)
        drawn[rows] = draw_overlay(image, runs.paint(around))[rows.start - around.start :][: rows.stop - rows.start]
    return drawn


def outlines(labels: LabelImage) -> Mask:
    """Pixels of objects with another label, or background, above, below, left or right of them.

    The border of the image is no outline: an object that is cut by it stays open there.
    """
    edge: Mask = np.zeros(labels.shape, dtype=np.bool_)
    below = labels[1:] != labels[:-1]
    edge[1:] |= below
    edge[:-1] |= below
    right = labels[:, 1:] != labels[:, :-1]
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    edge &= labels > 0
    return edge


def _colours_of_labels(count: int) -> ImageUInt8:
    """Full hues a golden-ratio step apart: labels that follow one another, often neighbours, look unlike."""
    hue = (np.arange(count + 1) * _GOLDEN_RATIO % 1.0)[:, np.newaxis]
    # Each of red, green and blue is full over a third of the circle and falls off linearly on both sides.
    distance = np.abs((hue - np.array([0, 1 / 3, 2 / 3]) + 0.5) % 1.0 - 0.5)
    return np.asarray(np.clip(2.0 - 6.0 * distance, 0.0, 1.0) * 255.0).round().astype(np.uint8)
