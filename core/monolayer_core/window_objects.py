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
    at_edge : bool (number + 1,)
        Whether each object touches the edge of the image; row 0 means nothing.
    sums : dict of float64 (number + 1,)
        By plane: the sum of its values over each object so far; exact below 2**53.
    """

    def __init__(self, height: int, width: int, largest: int) -> None:
        self.areas_px = np.zeros(largest + 1, dtype=np.int64)
        self.at_edge = np.zeros(largest + 1, dtype=np.bool_)
        self.sums: dict[str, Float64Array] = {}
        self._height = height
        self._width = width
        self._parts: dict[int, list[npt.NDArray[np.int32]]] = {}

    def add(self, region: Region, labels: LabelImage, planes: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Take in a window: its labels and the planes to be summed up, all of the size of the region.

        The windows lie in rows: those that begin in one row of the image end in one row, too.
        """
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
        self._parts.setdefault(top, []).append(part.astype(np.int32))
        lines = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
        ends = (top == 0, region[0].stop == self._height, left == 0, region[1].stop == self._width)
        for line, is_end in zip(lines, ends, strict=True):
            if is_end:
                self.at_edge[line] = True

    def means(self, name: str) -> Float64Array:
        """Mean of a plane over each object, ``(number + 1,)``; 0 where there is no pixel."""
        sums = self.sums[name]
        return np.divide(sums, self.areas_px, out=np.zeros_like(sums), where=self.areas_px > 0)

    def keep(self, is_kept: npt.NDArray[np.bool_]) -> tuple[RowRuns, Int64Array]:
        """Keep the objects for which ``is_kept[number]``; ends the taking in.

        Returns
        -------
        RowRuns
            Of the objects that are kept, labelled 1 to N by their first pixels; the runs in raster order and as long as
            can be.
        int64 (object,)
            The former number of each of them.
        """
        # One row of windows after the other, and into place: beside the result little more than the parts is held.
        columns = np.empty((4, sum(part.shape[1] for parts in self._parts.values() for part in parts)), dtype=np.int64)
        new_label = np.zeros(self.areas_px.size, dtype=np.int64)
        former: list[Int64Array] = []
        count, end = 0, 0
        for top in sorted(self._parts):
            runs = _joined(np.concatenate(self._parts.pop(top), axis=1), self._width)
            runs = runs[:, is_kept[runs[0]]]
            numbers, first = np.unique(runs[0], return_index=True)
            is_new = new_label[numbers] == 0
            found = numbers[is_new][np.argsort(first[is_new])].astype(np.int64)
            new_label[found] = count + 1 + np.arange(found.size)
            former.append(found)
            count += found.size
            columns[:, end : end + runs.shape[1]] = runs
            columns[0, end : end + runs.shape[1]] = new_label[runs[0]]
            end += runs.shape[1]
        labels, y, x, lengths = columns[:, :end]
        return RowRuns(labels, y, x, lengths, count, self._height, self._width), np.concatenate([_NONE, *former])


_NONE = np.zeros(0, dtype=np.int64)


def _joined(runs: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.int32]:
    """Bring runs ``(4, run)`` in raster order; where one goes on in the next window the two become one."""
    runs = runs[:, np.argsort(runs[1].astype(np.int64) * width + runs[2])]
    labels, y, x, lengths = runs
    goes_on = (labels[1:] == labels[:-1]) & (y[1:] == y[:-1]) & (x[1:] == x[:-1] + lengths[:-1])
    if not goes_on.any():
        return runs
    first = np.flatnonzero(np.append(True, ~goes_on))
    joined = runs[:, first]
    joined[3] = np.add.reduceat(lengths, first)
    return joined
