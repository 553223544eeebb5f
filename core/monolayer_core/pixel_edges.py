"""Outlines of objects along the edges of their pixels: what they enclose is exactly the pixels.

Nothing is painted and no object is looked at by itself. The corners of all outlines follow from the horizontal runs:
along the line between two rows an outline turns where a run of one row begins or ends and none of the other row does
the same. Corners that follow one another on a line, or in a column, are joined in pairs, and rings are what one comes
round to from a corner.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.row_runs import Int64Array, RowRuns

_RUNS_AT_ONCE = 1 << 18
"""Runs that are gone through together: arrays of some hundred bytes a run are made of them."""


@dataclass(frozen=True)
class Polygon:
    """A piece of an object whose pixels are connected by their sides.

    Attributes
    ----------
    outer : int64 (corner, 2)
        Corners ``(y, x)`` of the outer ring, in pixels; pixel (0, 0) reaches from (0, 0) to (1, 1). Of three corners in
        a row no two lie on one line, the first is the topmost one and among those the leftmost, and it is not repeated.
        The ring goes to the right from there, so that the pixels lie on its right.
    holes : list of int64 (corner, 2)
        As `outer`, with the pixels of the object on the right: they go the other way round.
    """

    outer: Int64Array
    holes: list[Int64Array]


def trace_pixel_edges(runs: RowRuns) -> Iterator[list[Polygon]]:
    """Trace the outlines of all objects along the edges of their pixels.

    Rings of one object touch in corners at most, and none touches itself: each polygon is valid as OGC's Simple
    Features have it. An object whose pixels are connected by their sides is one polygon; one that hangs together by
    corners alone is several.

    Parameters
    ----------
    runs : RowRuns
        Objects 1 to N.

    Yields
    ------
    The polygons of one object after the other; none for a label without pixels.

    Examples
    --------
    >>> from monolayer_core.row_runs import find_row_runs
    >>> [[polygon]] = trace_pixel_edges(find_row_runs(np.array([[0, 1, 1], [0, 1, 0]])))
    >>> polygon.outer.tolist()
    [[0, 1], [0, 3], [1, 3], [1, 2], [2, 2], [2, 1]]
    """
    order = np.argsort(runs.labels, kind="stable")
    ends = np.searchsorted(runs.labels[order], np.arange(1, runs.count + 1), side="right")
    first, begin = 0, 0
    while first < runs.count:
        last = max(first + 1, int(np.searchsorted(ends, begin + _RUNS_AT_ONCE, side="right")))
        part = order[begin : int(ends[last - 1])]
        yield from _trace(runs.labels[part] - first - 1, runs.y[part], runs.x[part], runs.lengths[part], last - first)
        first, begin = last, int(ends[last - 1])


def _trace(objects: Int64Array, y: Int64Array, x: Int64Array, lengths: Int64Array, count: int) -> list[list[Polygon]]:
    """Trace objects ``0`` to ``count - 1``, their runs sorted by object and each object's in raster order."""
    polygons: list[list[Polygon]] = [[] for _ in range(count)]
    if not objects.size:
        return polygons
    pieces = _pieces(objects, y, x, x + lengths)
    corners = _corners(pieces, y, x, x + lengths)
    rings, starts = _rings(corners)
    points = np.column_stack([corners.y, corners.x])[rings]
    piece_of_ring = corners.pieces[rings[starts]]
    is_outer = np.diff(piece_of_ring, prepend=-1) != 0  # the ring of the topmost corner: no hole reaches as far up
    object_of_piece = np.zeros(int(pieces.max()) + 1, dtype=np.int64)
    object_of_piece[pieces] = objects
    object_of_ring = object_of_piece[piece_of_ring]
    for ring, here, outer in zip(np.split(points, starts[1:]), object_of_ring.tolist(), is_outer.tolist(), strict=True):
        if outer:
            polygons[here].append(Polygon(ring, []))
        else:
            polygons[here][-1].holes.append(ring)
    return polygons


def _pieces(objects: Int64Array, y: Int64Array, begins: Int64Array, ends: Int64Array) -> Int64Array:
    """Give the piece, connected by sides, that each run is a part of; numbered in the order of their first runs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Runs are sorted by object, row and place: those below that share a side lie next to one another.
    width = int(ends.max()) + 1
    line = (objects * (int(y.max()) + 2) + y) * width
    below = line + width
    first = np.searchsorted(line + ends, below + begins, side="right")
    last = np.searchsorted(line + begins, below + ends, side="left")
    shared = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(y.size), shared)
    lower = np.arange(upper.size) - np.repeat(np.cumsum(shared) - shared, shared) + np.repeat(first, shared)
    graph = coo_array((np.ones(upper.size, dtype=np.bool_), (upper, lower)), shape=(y.size, y.size))
    _, found = connected_components(graph, directed=False)
    _, first_run, piece = np.unique(found, return_index=True, return_inverse=True)
    number = np.empty(first_run.size, dtype=np.int64)
    number[np.argsort(first_run)] = np.arange(first_run.size)
    return number[piece]


@dataclass(frozen=True)
class _Corners:
    """Corners of all rings, sorted by piece, y, x, and where two meet the one where a run begins first.

    `is_below` says whether that run lies below the corner, else above; `is_begin` whether it begins there, else ends.
    """

    pieces: Int64Array
    y: Int64Array
    x: Int64Array
    is_below: npt.NDArray[np.bool_]
    is_begin: npt.NDArray[np.bool_]


def _corners(pieces: Int64Array, y: Int64Array, begins: Int64Array, ends: Int64Array) -> _Corners:
    """Find the corners: ends of runs with no run on the other side of the line that ends in the same way."""
    rows, columns = int(y.max()) + 2, int(ends.max()) + 1
    # One number holds what corners are sorted by, and in its lowest bit whether the run lies below.
    line = (pieces * rows + y) * columns
    keys = np.concatenate(
        [
            (line + begins) * 4 + 1,
            (line + ends) * 4 + 3,
            (line + columns + begins) * 4,
            (line + columns + ends) * 4 + 2,
        ]
    )
    keys.sort()
    is_same = keys[1:] >> 1 == keys[:-1] >> 1
    keys = keys[~(np.append(False, is_same) | np.append(is_same, False))]
    line, place = np.divmod(keys >> 2, columns)
    piece, row = np.divmod(line, rows)
    return _Corners(piece, row, place, keys & 1 == 1, keys & 2 == 0)


def _rings(corners: _Corners) -> tuple[Int64Array, Int64Array]:
    """Give the corners ring by ring, and where each ring begins; rings and their first corners in the order of corners.

    Where two corners meet, the pixels of the piece lie across from each other. That a run begins comes first then joins
    the two edges of a background pixel, so that the ring passes between the background and not between the object: what
    hangs together by its sides has no ring that touches itself.
    """
    count = corners.y.size
    across = np.arange(count) ^ 1  # on a line every second gap between corners is an edge
    rows, columns = int(corners.y.max()) + 1, int(corners.x.max()) + 1
    column = corners.pieces * columns + corners.x
    by_column = np.argsort((column * rows + corners.y) * 2 + corners.is_below)
    along = np.empty(count, dtype=np.int64)
    along[by_column] = by_column[np.arange(count) ^ 1]
    # With the piece below the line one goes right, with the piece above it left.
    is_left = np.arange(count) % 2 == 0
    goes_right = np.repeat((corners.is_below == corners.is_begin)[::2], 2)
    follower = np.where(is_left == goes_right, across, along)
    return _follow(follower)


def _follow(follower: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Unroll the cycles of a permutation, each from its smallest member on; gives the members and the cycles' starts.

    All members look ahead at the same time, twice as far with every step, and keep in mind the smallest in sight and
    how far off it is: the number of steps is the logarithm of the longest cycle.
    """
    smallest = np.arange(follower.size)
    distance = np.zeros(follower.size, dtype=np.int64)
    ahead, reach = follower, 1
    while (smallest[follower] != smallest).any():
        is_smaller = smallest[ahead] < smallest
        distance = np.where(is_smaller, distance[ahead] + reach, distance)
        smallest = np.where(is_smaller, smallest[ahead], smallest)
        ahead, reach = ahead[ahead], 2 * reach
    is_first = distance == 0
    distance[is_first] = follower.size  # one round further off than any other
    order = np.lexsort([-distance, smallest])
    return order, np.flatnonzero(is_first[order])
