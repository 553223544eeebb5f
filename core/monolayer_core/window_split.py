"""Holes, seeds and the split of touching objects in an image of which only windows are looked at.

The results are those of `instances.fill_holes`, `instances.seeds_from_map` and `splitting.split_by_seeds` on the whole
image, pixel by pixel. How that can be stands in `docs/adr/0014-large-images-are-split-in-windows.md`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from monolayer_core.arrays import LabelImage, Mask, Region
from monolayer_core.bit_plane import BitPlane
from monolayer_core.instances import BACKGROUND_CONNECTIVITY, FOREGROUND_CONNECTIVITY
from monolayer_core.pieces import CellGrid, Pieces, ReadMask, find_pieces
from monolayer_core.splitting import SHARED, UNKNOWN, OpenSides, SplitPlan, plan_split, split_components


@dataclass(frozen=True)
class Windows:
    """How an image is cut.

    Attributes
    ----------
    cell_px : int
        Side of the cells that windows are made of; the margin around a window is one cell at first.
    cells : int
        Side of a window in cells.
    """

    cell_px: int = 128
    cells: int = 8


DEFAULT_WINDOWS = Windows()


def go_on() -> None:
    """Check nothing: who says no more than this wants the result whatever it takes."""


def fill_small_holes(
    mask: BitPlane,
    max_hole_area_px: int,
    cell_px: int = DEFAULT_WINDOWS.cell_px,
    check: Callable[[], None] = go_on,
) -> None:
    """Fill holes of up to a given area, in place; see `instances.fill_holes`, and `plan_windows` for `check`."""
    if max_hole_area_px <= 0:
        return
    grid = CellGrid(mask.height, mask.width, cell_px)
    ground = find_pieces(grid, _checked(lambda region: ~mask[region], check), BACKGROUND_CONNECTIVITY)
    is_filled = ~ground.at_edge & (ground.areas_px <= max_hole_area_px)
    is_filled[0] = False
    if not is_filled.any():
        return
    # A cell's mask is read once more and then written, and no other cell is looked at with it.
    for row in range(grid.rows):
        for column in range(grid.columns):
            cell = (slice(row, row + 1), slice(column, column + 1))
            is_hole = is_filled[ground.labels(cell)]
            if is_hole.any():
                region = grid.region(cell)
                mask[region] = mask[region] | is_hole


@dataclass(frozen=True)
class SplitImage:
    """What must be known of the whole image before any window of it can be split.

    Attributes
    ----------
    components, seeds : Pieces
        Of the mask, and of the seeds that count, in the order of their first pixels.
    plan : SplitPlan
    windows : Windows
    """

    components: Pieces
    seeds: Pieces
    plan: SplitPlan
    windows: Windows

    def split(self) -> Iterator[tuple[Region, LabelImage]]:
        """Split the image window by window.

        Yields
        ------
        region : tuple of slice
            Each pixel of the image lies in one of them.
        labels : int32 (y, x)
            0 for background; the numbers, up to ``plan.largest``, are those of `splitting.split_by_seeds`.
        """
        waiting = list(self._tiles())
        margin = 1
        while waiting:
            core = waiting[0]
            if self._is_simple(core):
                waiting.pop(0)
                numbers = self.components.labels(core)
                yield self.components.grid.region(core), np.take(self.plan.label_of_component, numbers, mode="clip")
                continue
            margin = max(1, margin // 2)
            while core in waiting:
                window = self._widened(core, margin)
                labels = self._split(window)
                for known in [tile for tile in waiting if _is_within(tile, window)]:
                    part = self._cut(labels, window, known)
                    if not (part == UNKNOWN).any():
                        waiting.remove(known)
                        yield self.components.grid.region(known), part
                margin *= 2

    def _tiles(self) -> Iterator[Region]:
        grid, side = self.components.grid, self.windows.cells
        for row in range(0, grid.rows, side):
            for column in range(0, grid.columns, side):
                yield slice(row, min(row + side, grid.rows)), slice(column, min(column + side, grid.columns))

    def _widened(self, core: Region, margin: int) -> Region:
        rows, columns = core
        grid = self.components.grid
        return (
            slice(max(rows.start - margin, 0), min(rows.stop + margin, grid.rows)),
            slice(max(columns.start - margin, 0), min(columns.stop + margin, grid.columns)),
        )

    def _is_simple(self, core: Region) -> bool:
        """Whether nothing is to be split in a window."""
        return not (self.plan.label_of_component[self.components.numbers_in(core)] == SHARED).any()

    def _split(self, window: Region) -> LabelImage:
        grid = self.components.grid
        rows, columns = window
        sides = OpenSides(rows.start > 0, rows.stop < grid.rows, columns.start > 0, columns.stop < grid.columns)
        return split_components(self.components.labels(window), self.seeds.labels(window), self.plan, sides)

    def _cut(self, labels: LabelImage, window: Region, tile: Region) -> LabelImage:
        """Cut a tile out of the labels of a window."""
        (top, left), (y, x) = self.components.grid.region(window), self.components.grid.region(tile)
        return labels[y.start - top.start : y.stop - top.start, x.start - left.start : x.stop - left.start]


def plan_windows(
    mask: BitPlane,
    is_core: BitPlane,
    min_seed_area_px: int,
    windows: Windows = DEFAULT_WINDOWS,
    check: Callable[[], None] = go_on,
) -> SplitImage:
    """Find out what must be known of the whole image.

    Parameters
    ----------
    mask : BitPlane
        Foreground, its small holes filled.
    is_core : BitPlane
        Where the seed map lies above its threshold; what lies outside the mask does not count.
    min_seed_area_px : int
        Seeds of fewer pixels are left out.
    windows : Windows
        How the image is cut; without effect on the result.
    check : callable
        Called before each cell is looked at, here and while the image is split; what it raises ends the work.
    """
    grid = CellGrid(mask.height, mask.width, windows.cell_px)
    components = find_pieces(grid, _checked(lambda region: mask[region], check), FOREGROUND_CONNECTIVITY)
    read_seeds = _checked(lambda region: mask[region] & is_core[region], check)
    seeds = find_pieces(grid, read_seeds, FOREGROUND_CONNECTIVITY)
    seeds = seeds.keep(seeds.areas_px >= max(min_seed_area_px, 1))
    component_of_seed = np.zeros(seeds.count + 1, dtype=np.int32)
    component_of_seed[1:] = components.at(seeds.first_pixels[1:])
    return SplitImage(components, seeds, plan_split(component_of_seed, components.count + 1), windows)


def _checked(read: ReadMask, check: Callable[[], None]) -> ReadMask:
    """Check before each reading: all that is found out of an image is read from its cells."""

    def read_checked(region: Region) -> Mask:
        check()
        return read(region)

    return read_checked


def _is_within(tile: Region, window: Region) -> bool:
    return all(
        outer.start <= inner.start and inner.stop <= outer.stop for inner, outer in zip(tile, window, strict=True)
    )
