"""Outlines of objects over the picture, for people to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage, Mask
from monolayer_core.levels import count_levels, look_up
from monolayer_core.normalization import stretch_of
from monolayer_core.row_runs import RowRuns
from monolayer_core.row_source import RowSource

_GOLDEN_RATIO = 0.618_033_988_749_895
CLASS_COLOURS: tuple[tuple[int, int, int], ...] = ((25, 224, 255), (255, 176, 0), (255, 51, 102), (153, 102, 255))
"""RGB of the first, second, ... class, in overlays, GeoJSON and on the page; used again from the start where there are
more. Whoever lacks one of the three cones tells them apart as well."""


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
           [ 25, 224, 255],
           [ 25, 224, 255],
           [  0,   0,   0]], dtype=uint8)
    """
    grey = image.ndim == 2 or image.shape[2] == 1
    drawn: ImageUInt8 = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)) if grey else np.array(image, order="C")
    edge = np.flatnonzero(outlines(labels))
    objects = labels.reshape(-1)[edge]
    if class_ids is None:
        lowest = int(objects.min()) if objects.size else 0  # of a band of a large image the labels lie close together
        colours = _colours_of_labels(np.arange(lowest, objects.max(initial=0) + 1))[objects - lowest]
    else:
        colours = np.array(CLASS_COLOURS, dtype=np.uint8)[class_ids[objects - 1] % len(CLASS_COLOURS)]
    drawn.reshape(-1, 3)[edge] = colours
    return drawn


class OverlaidRows:
    """The picture of `draw_overlay` over an image stretched as by `normalization.normalize`; a `row_source.RowSource`.

    It is drawn where it is looked at.

    Parameters
    ----------
    source
        The image as it is stored.
    runs
        The objects.
    class_ids
        As for `draw_overlay`.
    """

    def __init__(self, source: RowSource, runs: RowRuns, *, class_ids: npt.NDArray[np.integer] | None = None) -> None:
        self.height = source.height
        self.width = source.width
        self.channels = 3
        self.dtype = np.dtype(np.uint8)
        self._source = source
        self._runs = runs
        self._class_ids = class_ids
        self._levels = count_levels(source)
        self._table = stretch_of(self._levels.counts)

    def read(self, rows: slice) -> ImageUInt8:
        """Draw rows, ``(y, x, 3)`` RGB."""
        around = slice(max(rows.start - 1, 0), min(rows.stop + 1, self.height))  # outlines look at the neighbours
        image = look_up(self._levels.place(self._source.read(around)), self._table)
        drawn = draw_overlay(image, self._runs.paint(around), class_ids=self._class_ids)
        return drawn[rows.start - around.start :][: rows.stop - rows.start]


def ids_to_colour(class_ids: npt.NDArray[np.integer], class_names: Sequence[str]) -> npt.NDArray[np.integer] | None:
    """Give the classes by which objects are coloured: none where all are of one, so that neighbours look unlike."""
    return class_ids if len(class_names) > 1 else None


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


def _colours_of_labels(labels: npt.NDArray[np.integer]) -> ImageUInt8:
    """Full hues a golden-ratio step apart: labels that follow one another, often neighbours, look unlike."""
    hue = (labels * _GOLDEN_RATIO % 1.0)[:, np.newaxis]
    # Each of red, green and blue is full over a third of the circle and falls off linearly on both sides.
    distance = np.abs((hue - np.array([0, 1 / 3, 2 / 3]) + 0.5) % 1.0 - 0.5)
    return np.asarray(np.clip(2.0 - 6.0 * distance, 0.0, 1.0) * 255.0).round().astype(np.uint8)
