"""The horizontal runs of a label image: what sums, moments and bounding boxes are made of.

A run is a stretch of pixels of one object within one row. An object of a thousand pixels has some thirty of them, so
that whatever has a closed form over a run (area, moments) is computed on thousands of numbers instead of on millions,
and whatever has none (intensities) in one pass along the image. `runs` holds the column-major counterpart for the
encodings.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

_SUMMED_BY_INTEGRAL = (np.uint8, np.uint16)
"""Types of which the integral image of a band is exact, and cheaper than a sum for each run."""


@dataclass(frozen=True)
class RowRuns:
    """Runs of all objects in raster order: top to bottom and, within a row, left to right.

    Attributes
    ----------
    labels : int64 (run,)
        Label of the object, 1 to `count`.
    y, x : int64 (run,)
        First pixel of the run.
    lengths : int64 (run,)
        Pixels, at least 1.
    count : int
        The largest label.
    height, width : int
        Size of the image in pixels.
    """

    labels: Int64Array
    y: Int64Array
    x: Int64Array
    lengths: Int64Array
    count: int
    height: int
    width: int

    def totals(self, values: npt.NDArray[np.number]) -> Float64Array:
        """Sum one value per run over each object, ``(count,)``; row ``i`` is label ``i + 1``."""
        totals = np.bincount(self.labels - 1, weights=values, minlength=self.count)
        return totals.astype(np.float64, copy=False)  # without runs the weights are forgotten

    @property
    def areas_px(self) -> Int64Array:
        """Pixels of each object, ``(count,)``; 0 for a label that does not occur."""
        return self.totals(self.lengths).astype(np.int64)

    @property
    def at_edge(self) -> npt.NDArray[np.bool_]:
        """Whether each object touches the edge of the image, ``(count,)``."""
        touches = np.zeros(self.count, dtype=np.bool_)
        is_first_or_last = (self.y == 0) | (self.y == self.height - 1)
        touches[self.labels[is_first_or_last | (self.x == 0) | (self.x + self.lengths == self.width)] - 1] = True
        return touches

    def keep(self, is_kept: npt.NDArray[np.bool_]) -> "RowRuns":
        """Keep the objects for which ``is_kept[label - 1]``, numbered anew from 1 in the raster order of first pixels.

        Examples
        --------
        >>> find_row_runs(np.array([[0, 7, 7], [3, 0, 2]])).keep(np.arange(1, 8) != 2).paint()
        array([[0, 1, 1],
               [2, 0, 0]], dtype=int32)
        """
        is_left = is_kept[self.labels - 1]
        labels = self.labels[is_left]
        first_run = np.full(self.count, labels.size)
        first_run[labels[::-1] - 1] = np.arange(labels.size)[::-1]
        occurring = np.flatnonzero(first_run < labels.size)
        new_label = np.zeros(self.count, dtype=np.int64)
        new_label[occurring[np.argsort(first_run[occurring])]] = np.arange(1, occurring.size + 1)
        return RowRuns(
            new_label[labels - 1],
            self.y[is_left],
            self.x[is_left],
            self.lengths[is_left],
            occurring.size,
            self.height,
            self.width,
        )

    def part(self, rows: slice) -> "RowRuns":
        """Give the runs of the rows from ``rows.start`` to ``rows.stop``, in coordinates of these; labels stay.

        Rows may lie above and below the image: nothing is there.
        """
        first, last = np.searchsorted(self.y, (rows.start, rows.stop))
        within = slice(first, last)
        return RowRuns(
            self.labels[within],
            self.y[within] - rows.start,
            self.x[within],
            self.lengths[within],
            self.count,
            rows.stop - rows.start,
            self.width,
        )

    def flat_pixels(self) -> Int64Array:
        """Flat indices of all pixels of all objects, ascending.

        Examples
        --------
        >>> find_row_runs(np.array([[0, 1, 1], [2, 0, 0], [2, 2, 0]])).flat_pixels()
        array([1, 2, 3, 6, 7])
        """
        ends = np.cumsum(self.lengths)
        # What a run's first pixel is ahead of its place in the list.
        ahead = self.y * self.width + self.x - (ends - self.lengths)
        return np.repeat(ahead, self.lengths) + np.arange(int(self.lengths.sum()))

    def paint(self, rows: slice | None = None) -> LabelImage:
        """Paint the objects: a label image of the whole image, or of the rows from ``rows.start`` to ``rows.stop``.

        Examples
        --------
        >>> find_row_runs(np.array([[0, 1, 1], [2, 0, 0], [2, 2, 0]])).paint(slice(1, 3))
        array([[2, 0, 0],
               [2, 2, 0]], dtype=int32)
        """
        part = self if rows is None else self.part(rows)
        starts = part.y * part.width + part.x
        values = np.zeros(2 * starts.size + 1, dtype=np.int32)
        values[1::2] = part.labels
        borders = np.zeros(2 * starts.size + 2, dtype=np.int64)
        borders[1:-1:2], borders[2:-1:2] = starts, starts + part.lengths
        borders[-1] = part.height * part.width
        return np.repeat(values, np.diff(borders)).reshape(part.height, part.width)

    def sums(self, plane: npt.NDArray[np.number]) -> Float64Array:
        """Sum the pixel values of a ``(y, x)`` image over each object, ``(count,)``; exact for integers."""
        starts = self.y * self.width + self.x
        if plane.dtype in _SUMMED_BY_INTEGRAL:
            # The rectangle of one row that is the run, from four corners of the integral image; float64 is exact here.
            integral = np.asarray(cv2.integral(cast("npt.NDArray[np.uint16]", plane), sdepth=cv2.CV_64F))
            above, below = integral[:-1, :].ravel(), integral[1:, :].ravel()
            left = starts + self.y  # a row of the integral image is one longer
            right = left + self.lengths
            return self.totals(below[right] - below[left] - (above[right] - above[left]))
        borders = np.column_stack([starts, starts + self.lengths]).ravel()
        if borders.size and borders[-1] == plane.size:
            borders = borders[:-1]  # the last run ends with the image; reduceat sums up to the end by itself
        kind = np.float64 if plane.dtype.kind == "f" else np.int64
        sums = np.add.reduceat(plane.ravel(), borders, dtype=kind)[::2] if borders.size else np.zeros(0)
        return self.totals(sums)


class PaintedRows:
    """A label image, int32, that is painted where it is looked at; a `row_source.RowSource`."""

    def __init__(self, runs: RowRuns) -> None:
        self.height = runs.height
        self.width = runs.width
        self.channels = 1
        self.dtype = np.dtype(np.int32)
        self._runs = runs

    def read(self, rows: slice) -> LabelImage:
        """Paint rows, see `RowRuns.paint`."""
        return self._runs.paint(rows)


def find_row_runs(labels: LabelImage) -> RowRuns:
    """Find the horizontal runs of all objects in one pass over the label image."""
    return _find_runs(labels, labels)


def find_piece_runs(mask: Mask, pieces: LabelImage) -> RowRuns:
    """Find what `find_row_runs` finds in the connected pieces of a mask, at a third of the price.

    Neighbours in a row belong to one piece, so that its runs are those of the mask.

    Parameters
    ----------
    mask : bool (y, x)
    pieces : int32 (y, x)
        0 outside the mask, elsewhere the number of the 4- or 8-connected piece.
    """
    return _find_runs(mask.view(np.uint8), pieces)


def _find_runs(changing: npt.NDArray[np.integer], labels: LabelImage) -> RowRuns:
    """Find the runs of labels that change within a row exactly where `changing` does."""
    height, width = labels.shape
    is_start = np.empty((height, width), dtype=np.bool_)
    is_start[:, :1] = True
    np.not_equal(changing[:, 1:], changing[:, :-1], out=is_start[:, 1:])
    starts = np.flatnonzero(is_start)
    lengths = np.diff(starts, append=labels.size)
    found = labels.ravel()[starts]
    is_object = found > 0
    numbers = found[is_object].astype(np.int64)
    starts = starts[is_object]
    y = starts // max(width, 1)  # with the product several times as fast as `np.divmod`
    return RowRuns(
        numbers, y, starts - y * width, lengths[is_object].astype(np.int64), int(numbers.max(initial=0)), height, width
    )
