"""Covering a rectangle with square tiles of few sizes, at the least total area.

A rectangle is covered by a grid of tiles of one side. Where the last row or column of that grid would compute much for
little, it may be left to smaller sides, as a strip that is covered in the same way. All such covers are compared: there
are few, since every strip must do with smaller sides than the grid it is cut from, and since a grid is counted by
arithmetic and never walked through.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Rectangle: TypeAlias = tuple[int, int, int, int]
"""``top, bottom, left, right`` of kept pixels, in image coordinates, ends exclusive."""


@dataclass(frozen=True)
class Axis:
    """One direction of the image: where tiles begin along it and how far they reach.

    Attributes
    ----------
    length : int
        Pixels of the image.
    padded : int
        The length rounded up to a multiple of the divisor: tiles lie within it, unless they are longer.
    halo : int
        What a tile throws away on each side that is not an edge of the image; a multiple of the divisor.
    """

    length: int
    padded: int
    halo: int

    def start(self, first: int, side: int) -> int:
        """Where a tile begins whose first kept pixel is `first`."""
        return min(max(first - self.halo, 0), max(self.padded - side, 0))

    def reach(self, first: int, side: int) -> int:
        """End of what that tile can keep."""
        end = self.start(first, side) + side
        return self.length if end >= self.padded else end - self.halo

    def steps(self, first: int, end: int, side: int) -> Iterator[tuple[int, int]]:
        """First and end of what each tile keeps, from `first` to `end`."""
        while first < end:
            last = min(self.reach(first, side), end)
            yield first, last
            first = last

    def count(self, first: int, end: int, side: int) -> tuple[int, int]:
        """How many steps there are, and where the last one begins."""
        reach = self.reach(first, side)
        if reach >= end:
            return 1, first
        step = side - 2 * self.halo
        further = -(-(min(end, self.padded - self.halo) - reach) // step)
        return 1 + further, reach + (further - 1) * step

    def share(self, count: int, least_side: int, divisor: int) -> int:
        """Side of the smallest tiles of which `count` cover the axis, or the least side where that is longer."""
        total = self.padded + 2 * self.halo * (count - 1)
        return max(least_side, -(-total // (count * divisor)) * divisor)


@dataclass(frozen=True)
class Grid:
    """A rectangle of kept pixels covered by tiles of one side in rows and columns."""

    side: int
    rectangle: Rectangle
    tile_count: int


@dataclass(frozen=True)
class Cover:
    """Grids that cover a rectangle, each pixel once."""

    grids: tuple[Grid, ...]
    computed_px: int
    tile_count: int


def cheapest_cover(rows: Axis, columns: Axis, sides: tuple[int, ...]) -> Cover:
    """Cover the image with the fewest computed pixels, among equals with the fewest tiles.

    Parameters
    ----------
    rows, columns : Axis
        The directions y and x of the image.
    sides : tuple of int
        Allowed sides, ascending; each longer than two halos or at least as long as both axes.
    """

    @functools.cache
    def cheapest(rectangle: Rectangle, allowed: int) -> Cover:
        """Cover a rectangle with the `allowed` smallest sides."""
        covers = (
            _join(grid, [cheapest(strip, smaller) for strip in strips])
            for smaller, side in enumerate(sides[:allowed])
            for grid, strips in _cuts(rectangle, side, rows, columns, has_smaller=smaller > 0)
        )
        return min(covers, key=lambda cover: (cover.computed_px, cover.tile_count))

    return cheapest((0, rows.length, 0, columns.length), len(sides))


def _cuts(
    rectangle: Rectangle, side: int, rows: Axis, columns: Axis, *, has_smaller: bool
) -> Iterator[tuple[Grid, tuple[Rectangle, ...]]]:
    """Give grids of one side and the strips they leave over: none, the last row or column, or both in two ways."""
    top, bottom, left, right = rectangle
    tall, last_row = rows.count(top, bottom, side)
    wide, last_column = columns.count(left, right, side)
    yield Grid(side, rectangle, tall * wide), ()
    if not has_smaller:
        return
    if tall > 1:
        yield Grid(side, (top, last_row, left, right), (tall - 1) * wide), ((last_row, bottom, left, right),)
    if wide > 1:
        yield Grid(side, (top, bottom, left, last_column), tall * (wide - 1)), ((top, bottom, last_column, right),)
    if tall > 1 and wide > 1:
        grid = Grid(side, (top, last_row, left, last_column), (tall - 1) * (wide - 1))
        yield grid, ((top, last_row, last_column, right), (last_row, bottom, left, right))
        yield grid, ((top, bottom, last_column, right), (last_row, bottom, left, last_column))


def _join(grid: Grid, strips: list[Cover]) -> Cover:
    return Cover(
        grids=(grid, *(part for strip in strips for part in strip.grids)),
        computed_px=grid.tile_count * grid.side**2 + sum(strip.computed_px for strip in strips),
        tile_count=grid.tile_count + sum(strip.tile_count for strip in strips),
    )
