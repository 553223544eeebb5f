"""Connected pieces of an image that is never there as a whole.

The image is cut into square cells. The pieces within each cell are found one cell after the other; pieces that meet
across a cell's border belong together, which is a question of a graph with one node a piece of a cell. What remains of
it is one number for each node. A label image of any part is made again from the mask when it is wanted: finding the
pieces of a cell is cheap and always gives them in the same order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask, Region

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
ReadMask = Callable[[Region], Mask]


@dataclass(frozen=True)
class CellGrid:
    """Cells of `side` pixels, smaller at the far edges, over an image of `height` by `width` pixels."""

    height: int
    width: int
    side: int

    @property
    def rows(self) -> int:
        """Cells from top to bottom."""
        return -(-self.height // self.side)

    @property
    def columns(self) -> int:
        """Cells from left to right."""
        return -(-self.width // self.side)

    def region(self, cells: Region) -> Region:
        """Pixels of a window of cells, both in slices ``(y, x)``."""
        rows, columns = cells
        return (
            slice(rows.start * self.side, min(rows.stop * self.side, self.height)),
            slice(columns.start * self.side, min(columns.stop * self.side, self.width)),
        )

    def cells_of(self, cells: Region) -> Iterator[tuple[int, Region]]:
        """Give number and pixels of every cell of a window, in raster order."""
        for row in range(cells[0].start, cells[0].stop):
            for column in range(cells[1].start, cells[1].stop):
                cell = (slice(row, row + 1), slice(column, column + 1))
                yield row * self.columns + column, self.region(cell)


@dataclass(frozen=True)
class Pieces:
    """The connected pieces of a mask.

    Attributes
    ----------
    grid : CellGrid
    read : callable
        Gives the mask in a region.
    connectivity : 4 or 8
    starts : int64 (cell + 1,)
        Where the numbers of each cell begin in `numbers`.
    numbers : int32 (node,)
        Number of the piece, from 1, that each piece of a cell is a part of.
    areas_px, first_pixels : int64 (piece + 1,)
        Pixels of each piece, and the flat index of its first one in raster order; row 0 is nothing.
    at_edge : bool (piece + 1,)
        Whether the piece touches the edge of the image.
    """

    grid: CellGrid
    read: ReadMask
    connectivity: Literal[4, 8]
    starts: Int64Array
    numbers: Int32Array
    areas_px: Int64Array
    first_pixels: Int64Array
    at_edge: npt.NDArray[np.bool_]

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return self.areas_px.size - 1

    def labels(self, cells: Region) -> LabelImage:
        """Give the number of the piece of each pixel in a window of cells, 0 outside the mask."""
        rows, columns = self.grid.region(cells)
        found = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=np.int32)
        for cell, (y, x) in self.grid.cells_of(cells):
            part = found[y.start - rows.start : y.stop - rows.start, x.start - columns.start : x.stop - columns.start]
            part[...] = self._cell(cell, (y, x))
        return found

    def numbers_in(self, cells: Region) -> Int32Array:
        """Give the numbers of the pieces in a window of cells, some of them more than once; no pixel is looked at."""
        rows, columns = cells
        of_row = (row * self.grid.columns for row in range(rows.start, rows.stop))
        ends = ((self.starts[row + columns.start], self.starts[row + columns.stop]) for row in of_row)
        return np.concatenate([self.numbers[start:end] for start, end in ends])

    def at(self, pixels: Int64Array) -> Int32Array:
        """Give the number of the piece at each of these flat indices, 0 outside the mask."""
        y, x = np.divmod(pixels, self.grid.width)
        cell = (y // self.grid.side) * self.grid.columns + x // self.grid.side
        order = np.argsort(cell, kind="stable")
        wanted, first = np.unique(cell[order], return_index=True)
        found = np.zeros(pixels.size, dtype=np.int32)
        ends = [*first[1:].tolist(), pixels.size][: wanted.size]
        for number, start, end in zip(wanted.tolist(), first.tolist(), ends, strict=True):
            here = order[start:end]
            row, column = divmod(number, self.grid.columns)
            region = self.grid.region((slice(row, row + 1), slice(column, column + 1)))
            found[here] = self._cell(number, region)[y[here] - region[0].start, x[here] - region[1].start]
        return found

    def keep(self, is_kept: npt.NDArray[np.bool_]) -> "Pieces":
        """Leave out the pieces for which not ``is_kept[number]``; number the others by their first pixels.

        The numbers of what is left out become 0.
        """
        kept = np.flatnonzero(is_kept[1:]) + 1
        kept = np.concatenate([[0], kept[np.argsort(self.first_pixels[kept], kind="stable")]])
        new_number = np.zeros(self.count + 1, dtype=np.int32)
        new_number[kept] = np.arange(kept.size)
        return replace(
            self,
            numbers=new_number[self.numbers],
            areas_px=self.areas_px[kept],
            first_pixels=self.first_pixels[kept],
            at_edge=self.at_edge[kept],
        )

    def _cell(self, cell: int, region: Region) -> LabelImage:
        _, local = connected(self.read(region), self.connectivity)
        numbers = np.concatenate([[0], self.numbers[self.starts[cell] : self.starts[cell + 1]]]).astype(np.int32)
        return np.take(numbers, local, mode="clip")


def find_pieces(grid: CellGrid, read: ReadMask, connectivity: Literal[4, 8]) -> Pieces:
    """Find the connected pieces of a mask, cell by cell.

    Parameters
    ----------
    grid : CellGrid
        Over the image.
    read : callable
        Gives the mask, bool (y, x), in a region; asked again whenever labels are.
    connectivity : 4 or 8
        Whether pixels must share a side or a corner is enough.
    """
    counts = np.zeros(grid.rows * grid.columns, dtype=np.int64)
    areas, firsts, edges = [], [], []
    meetings = [np.zeros((2, 0), dtype=np.int32)]
    bottom = np.zeros(grid.width, dtype=np.int32)
    before = 0
    for row in range(grid.rows):
        top, below = np.zeros_like(bottom), np.zeros_like(bottom)
        right = np.zeros(0, dtype=np.int32)
        for cell, region in grid.cells_of((slice(row, row + 1), slice(0, grid.columns))):
            mask = read(region)
            count, local = connected(mask, connectivity)
            top[region[1]], below[region[1]] = _nodes(local[0], before), _nodes(local[-1], before)
            meetings.append(_meetings(right, _nodes(local[:, 0], before), connectivity))
            right = _nodes(local[:, -1], before)
            areas_in_cell, firsts_in_cell = _areas_and_first_pixels(mask, local, count, region, grid.width)
            areas.append(areas_in_cell)
            firsts.append(firsts_in_cell)
            edges.append(_at_edge(local, count, region, grid))
            counts[cell] = count - 1
            before += count - 1
        meetings.append(_meetings(bottom, top, connectivity) if row else meetings[0])
        bottom = below
    count, numbers = _group(before, np.concatenate(meetings, axis=1))
    first_pixels = np.full(count + 1, grid.height * grid.width, dtype=np.int64)
    np.minimum.at(first_pixels, numbers, np.concatenate(firsts))
    at_edge = np.zeros(count + 1, dtype=np.bool_)
    at_edge[numbers[np.concatenate(edges)]] = True
    areas_px = np.bincount(numbers, weights=np.concatenate(areas), minlength=count + 1).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Pieces(grid, read, connectivity, starts, numbers, areas_px, first_pixels, at_edge)


def connected(mask: Mask, connectivity: Literal[4, 8]) -> tuple[int, LabelImage]:
    """Give the number of connected pieces, plus one, and the label image of the pieces."""
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=connectivity)
    return count, np.asarray(labels, dtype=np.int32)


def _nodes(line: Int32Array, before: int) -> Int32Array:
    """Nodes along a line of a cell's pixels, of which `before` lie in cells before it; 0 stays 0."""
    return np.where(line > 0, line + np.int32(before), 0)


def _meetings(first: Int32Array, second: Int32Array, connectivity: Literal[4, 8]) -> Int32Array:
    """Pairs ``(2, pair)`` of nodes that meet where two lines of pixels lie side by side."""
    if not first.size:
        return np.zeros((2, 0), dtype=np.int32)
    pairs = [np.stack([first, second])]
    if connectivity == 8:
        pairs += [np.stack([first[1:], second[:-1]]), np.stack([first[:-1], second[1:]])]
    found = np.concatenate(pairs, axis=1)
    found = found[:, (found > 0).all(axis=0)]
    if found.shape[1] > 1:  # one pair for each pixel of the border is many times the same pair
        found = found[:, np.append(True, (found[:, 1:] != found[:, :-1]).any(axis=0))]
    return found


def _group(nodes: int, meetings: Int32Array) -> tuple[int, Int32Array]:
    """Count groups of nodes that are connected by meetings, and give the group, from 1, of each node."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not nodes:
        return 0, np.zeros(0, dtype=np.int32)
    ones = np.ones(meetings.shape[1], dtype=np.bool_)
    graph = coo_array((ones, (meetings[0] - 1, meetings[1] - 1)), shape=(nodes, nodes))
    count, groups = connected_components(graph, directed=False)
    return int(count), np.asarray(groups, dtype=np.int32) + np.int32(1)


def _areas_and_first_pixels(
    mask: Mask, local: LabelImage, count: int, region: Region, width: int
) -> tuple[Int64Array, Int64Array]:
    """Pixels of each piece of a cell, and the flat index in the image of its first one: by runs, which are few."""
    edges = np.zeros((mask.shape[0], mask.shape[1] + 1), dtype=np.bool_)
    edges[:, 1:-1] = mask[:, 1:] != mask[:, :-1]
    edges[:, 0], edges[:, -1] = mask[:, 0], mask[:, -1]
    borders = np.flatnonzero(edges)
    borders -= borders // edges.shape[1]  # a row of the mask is one shorter; each run ends in its own row
    starts, lengths = borders[::2], np.diff(borders)[::2]
    pieces = local.ravel()[starts]
    areas = np.bincount(pieces, weights=lengths, minlength=count)
    first = np.zeros(count, dtype=np.int64)
    first[pieces[::-1]] = starts[::-1]
    y, x = np.divmod(first[1:], mask.shape[1])
    return areas[1:].astype(np.int64), (y + region[0].start) * width + x + region[1].start


def _at_edge(local: LabelImage, count: int, region: Region, grid: CellGrid) -> npt.NDArray[np.bool_]:
    """Whether each piece of a cell touches the edge of the image."""
    touches = np.zeros(count, dtype=np.bool_)
    rows, columns = region
    lines = (local[0], local[-1], local[:, 0], local[:, -1])
    ends = (rows.start == 0, rows.stop == grid.height, columns.start == 0, columns.stop == grid.width)
    for line, is_end in zip(lines, ends, strict=True):
        if is_end:
            touches[line] = True
    return touches[1:]
