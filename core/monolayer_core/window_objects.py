"""Objects that come in windows, put together again: their runs and what is summed up over them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Region
from monolayer_core.row_runs import Float64Array, Int64Array, RowRuns, find_row_runs


class WindowObjects:
    """Objects of an image of `height` by `width` pixels, numbered 1 to `largest`; some numbers may not occur.

    Attributes
    ----------
    areas_px : int64 (number + 1,)
        Pixels of each object so far; row 0 is nothing.
    sums : dict of float64 (number + 1,)
        By plane: the sum of its values over each object so far; exact below 2**53.
    """

    def __init__(self, height: int, width: int, largest: int) -> None:
        self.areas_px = np.zeros(largest + 1, dtype=np.int64)
        self.sums: dict[str, Float64Array] = {}
        self._height = height
        self._width = width
        self._parts: list[npt.NDArray[np.int32]] = []

    def add(self, region: Region, labels: LabelImage, planes: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Take in a window: its labels and the planes to be summed up, all of the size of the region."""
        found = find_row_runs(labels)
        numbers, compact = np.unique(found.labels, return_inverse=True)
        runs = RowRuns(
            compact.astype(np.int64) + 1, found.y, found.x, found.lengths, numbers.size, found.height, found.width
        )
        self.areas_px[numbers] += runs.areas_px
        for name, plane in planes.items():
            self.sums.setdefault(name, np.zeros(self.areas_px.size))[numbers] += runs.sums(plane)
        top, left = region[0].start, region[1].start
        part = np.stack([found.labels, found.y + top, found.x + left, found.lengths])
        self._parts.append(part.astype(np.int32))

    def means(self, name: str) -> Float64Array:
        """Mean of a plane over each object, ``(number + 1,)``; 0 where there is no pixel."""
        sums = self.sums[name]
        return np.divide(sums, self.areas_px, out=np.zeros_like(sums), where=self.areas_px > 0)

    def runs(self) -> RowRuns:
        """Give the runs of all objects, in raster order and as long as can be; ends the taking in."""
        labels, y, x, lengths = np.concatenate([np.zeros((4, 0), dtype=np.int32), *self._parts], axis=1)
        self._parts.clear()
        order = np.argsort(y.astype(np.int64) * self._width + x)
        labels, y, x, lengths = labels[order], y[order], x[order], lengths[order]
        # Where a window ends, a run may go on in the next one.
        goes_on = (labels[1:] == labels[:-1]) & (y[1:] == y[:-1]) & (x[1:] == x[:-1] + lengths[:-1])
        first = np.flatnonzero(np.append(np.ones(min(labels.size, 1), dtype=np.bool_), ~goes_on))
        summed = np.add.reduceat(lengths, first, dtype=np.int64) if first.size else np.zeros(0, dtype=np.int64)
        columns = [column[first].astype(np.int64) for column in (labels, y, x)]
        return RowRuns(*columns, summed, self.areas_px.size - 1, self._height, self._width)


def keep_runs(runs: RowRuns, is_kept: npt.NDArray[np.bool_]) -> tuple[RowRuns, Int64Array]:
    """Keep the objects for which ``is_kept[label]``, numbered by their first runs.

    Returns
    -------
    RowRuns
        Of the objects that are kept, labelled 1 to N.
    int64 (object,)
        The former number of each of them.
    """
    first_run = np.full(runs.count + 1, runs.labels.size, dtype=np.int64)
    first_run[runs.labels[::-1]] = np.arange(runs.labels.size)[::-1]
    kept = np.flatnonzero(is_kept & (first_run < runs.labels.size))
    kept = kept[np.argsort(first_run[kept])]
    new_label = np.zeros(runs.count + 1, dtype=np.int64)
    new_label[kept] = np.arange(1, kept.size + 1)
    labels = new_label[runs.labels]
    stays = labels > 0
    columns = [column[stays] for column in (labels, runs.y, runs.x, runs.lengths)]
    return RowRuns(*columns, kept.size, runs.height, runs.width), kept
