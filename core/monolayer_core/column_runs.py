"""From horizontal runs to the column-major ones of the encodings, without a label image of the whole."""

from collections.abc import Callable

import numpy as np

from monolayer_core.row_runs import Int64Array, RowRuns
from monolayer_core.runs import Runs

_BAND_PX = 1 << 20
"""Pixels that are painted at once."""


def find_column_runs(rows: RowRuns, *, check: Callable[[], None] = lambda: None) -> Runs:
    """Find the column-major runs of all objects: what `runs.find_runs` finds in the label image.

    Bands of rows are painted. A run begins where a pixel has another label than the one above it, and ends where the
    next one has; both are noted as one number, object and place, and the k-th beginning belongs to the k-th end.

    Parameters
    ----------
    rows : RowRuns
        All objects, in raster order; object ``i`` has the label ``i + 1``.
    check : callable
        Called for every band; what it raises ends the work.

    Examples
    --------
    >>> from monolayer_core.row_runs import find_row_runs
    >>> runs = find_column_runs(find_row_runs(np.array([[1, 0, 2], [1, 2, 2]], dtype=np.int32)))
    >>> runs.objects, runs.starts, runs.lengths
    (array([0, 1]), array([0, 3]), array([2, 3]))
    """
    height, width = rows.height, rows.width
    step = height * width + 1
    begins: list[Int64Array] = []
    ends: list[Int64Array] = []
    band_rows = max(1, _BAND_PX // max(width, 1))
    for top in range(0, height + 1, band_rows):
        check()
        # With the row above the band; there is background above the image, and in one row more below it.
        band = rows.paint(slice(top - 1, min(top + band_rows, height + 1)))
        changed = np.flatnonzero(band[1:] != band[:-1])  # flat: several times as fast as pairs of indices
        y = changed // max(width, 1)  # with the product several times as fast as `np.divmod`
        x = changed - y * width
        place = x * np.int64(height) + y + top
        for keys, labels in ((begins, band.ravel()[changed + width]), (ends, band.ravel()[changed])):
            is_object = labels > 0
            keys.append((labels[is_object].astype(np.int64) - 1) * step + place[is_object])

    begin, end = _sorted(begins), _sorted(ends)
    # A run that ends at the foot of a column may go on at the head of the next one.
    is_begin, is_end = np.ones(begin.size, dtype=np.bool_), np.ones(end.size, dtype=np.bool_)
    is_begin[1:] = is_end[:-1] = begin[1:] != end[:-1]
    begin, end = begin[is_begin], end[is_end]
    objects = begin // step
    return Runs(objects, begin - objects * step, end - begin, rows.count, height, width)


def _sorted(parts: list[Int64Array]) -> Int64Array:
    """Put the parts together and in order; they are taken out of the list, since there may be hundreds of megabytes."""
    keys = np.concatenate([_NONE, *parts])
    parts.clear()
    keys.sort()
    return keys


_NONE = np.zeros(0, dtype=np.int64)
