"""Tiles: which rectangles of an image the network sees, and which of its answers are kept.

Near its edge a tile lacks the surroundings that the network was trained with, so that a border strip of the answer, the
halo, is thrown away. Three regions describe a tile, each a pair of slices ``(y, x)``::

    read    image coordinates   what the network sees; at the far edges reflected up to the size of the tile
    local   tile coordinates    the part of the answer that is kept
    write   image coordinates   where it goes; the write regions of a plan cover each pixel exactly once

Towards an edge of the image nothing is thrown away: the network saw that edge in training too. Tiles begin at multiples
of the network's divisor, because a network that halves its input several times gives other answers when it is shifted
by less; at the far edges they are moved inward. So a tile sees what it would see in the whole image, reflected up to
the next multiple of the divisor, and tiled and untiled answers agree wherever the halo is wide enough.

There are two kinds of plan. `plan_tiles` covers the image with squares of a few sides: for a network or a runtime that
prepares itself for each size it meets. `plan_fitted_tiles` makes tiles that fit the image: for those that take any size
as fast as another, where nothing is computed for the sake of a side.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageRegions, Predict, PredictStream, Probabilities, Region, TileBatch
from monolayer_core.errors import OptionError, PredictionError
from monolayer_core.tile_cover import Axis, Rectangle, cheapest_cover


@dataclass(frozen=True, slots=True)
class Tile:
    """One rectangle that the network sees.

    Attributes
    ----------
    height, width : int
        Of the network's input in pixels.
    read : tuple of slice
        Image coordinates of what is seen, at most of that size; the rest is filled by reflection behind it.
    local, write : tuple of slice
        What is kept of the answer, in tile and in image coordinates; both of the same size.
    """

    height: int
    width: int
    read: Region
    local: Region
    write: Region


@dataclass(frozen=True)
class TilePlan:
    """The tiles of an image of `height` by `width` pixels; `halo` is the margin each keeps, 0 for a single tile."""

    height: int
    width: int
    halo: int
    tiles: tuple[Tile, ...]

    @property
    def computed_px(self) -> int:
        """Pixels that the network computes."""
        return sum(tile.height * tile.width for tile in self.tiles)

    def batches(self, batch_size: int) -> Iterator[tuple[Tile, ...]]:
        """Give the tiles in groups of one size and of at most `batch_size`."""
        for size in sorted({(tile.height, tile.width) for tile in self.tiles}, reverse=True):
            same = [tile for tile in self.tiles if (tile.height, tile.width) == size]
            for first in range(0, len(same), batch_size):
                yield tuple(same[first : first + batch_size])


def plan_tiles(height: int, width: int, *, sides: Sequence[int], halo: int, divisor: int) -> TilePlan:
    """Plan square tiles of an image so that the network computes few pixels.

    Large tiles cover most of the image and smaller ones strips at the far edges, see `tile_cover`. The plan never
    computes more pixels than one with a single side, and of equally cheap plans it is the one with the fewest tiles.

    Parameters
    ----------
    height, width : int
        Size of the image in pixels, at least 1.
    sides : sequence of int
        Allowed sides, multiples of `divisor`.
    halo : int
        Width of the discarded strip in pixels; rounded up to a multiple of `divisor`.
    divisor : int
        What height and width of the network's input must be multiples of.

    Raises
    ------
    OptionError
        The image is empty, a side is no multiple of the divisor, or no side is longer than two halos while the image
        does not fit into one tile.

    Examples
    --------
    >>> plan = plan_tiles(100, 150, sides=[64, 128], halo=16, divisor=16)
    >>> [(tile.height, tile.write[0].start, tile.write[1].start) for tile in plan.tiles]
    [(128, 0, 0), (64, 0, 112), (64, 48, 112), (64, 80, 112)]
    >>> plan.tiles[1].read
    (slice(0, 64, None), slice(96, 150, None))
    """
    if not sides or divisor < 1 or halo < 0 or any(side < 1 or side % divisor for side in sides):
        raise OptionError(f"tile sides {list(sides)} must be multiples of {divisor}, the halo {halo} not negative")
    halo = _round_up(halo, divisor)
    usable = tuple(sorted(side for side in set(sides) if side > 2 * halo or side >= max(height, width)))
    if not usable:
        raise OptionError(
            f"no tile side of {list(sides)} holds more than twice the halo of {halo} pixels, "
            f"and an image of {height} by {width} pixels needs several tiles"
        )
    rows, columns = _axes(height, width, halo, divisor)
    cover = cheapest_cover(rows, columns, usable)
    tiles = tuple(
        tile for grid in cover.grids for tile in _tiles(grid.rectangle, (grid.side, grid.side), rows, columns)
    )
    return TilePlan(height, width, halo if len(tiles) > 1 else 0, tiles)


def plan_fitted_tiles(
    height: int, width: int, *, least_side: int, largest_px: int, halo: int, divisor: int
) -> TilePlan:
    """Plan tiles that fit the image: the whole of it as one, or a grid of equal ones.

    Of all grids whose tiles are not larger than allowed the one is taken that computes the fewest pixels, and of these
    the one with the fewest tiles.

    Parameters
    ----------
    height, width : int
        Size of the image in pixels, at least 1.
    least_side : int
        No tile is lower or narrower, a multiple of `divisor`: of smaller images the network has never seen any.
    largest_px : int
        Most pixels of a tile, where that holds a square of the least side.
    halo : int
        Width of the discarded strip in pixels; rounded up to a multiple of `divisor`.
    divisor : int
        What height and width of the network's input must be multiples of.

    Raises
    ------
    OptionError
        The image is empty, or the least side is no multiple of the divisor.

    Examples
    --------
    >>> (tile,) = plan_fitted_tiles(520, 696, least_side=256, largest_px=1024**2, halo=96, divisor=16).tiles
    >>> tile.height, tile.width
    (528, 704)
    >>> plan = plan_fitted_tiles(2048, 2048, least_side=256, largest_px=1152**2, halo=96, divisor=16)
    >>> [(tile.height, tile.width) for tile in plan.tiles]
    [(1120, 1120), (1120, 1120), (1120, 1120), (1120, 1120)]
    """
    if divisor < 1 or halo < 0 or least_side < 1 or least_side % divisor:
        raise OptionError(f"the least side {least_side} must be a multiple of {divisor}, the halo {halo} not negative")
    halo = _round_up(halo, divisor)
    least_side = max(least_side, 2 * halo + divisor)
    largest_px = max(largest_px, least_side**2)
    rows, columns = _axes(height, width, halo, divisor)

    def grids() -> Iterator[tuple[int, int, tuple[int, int]]]:
        """Give computed pixels, number of tiles, and their size."""
        for tall in itertools.count(1):
            tile_height = rows.share(tall, least_side, divisor)
            widest = largest_px // tile_height // divisor * divisor
            if widest >= least_side:
                tile_width = columns.share(columns.count(0, width, widest)[0], least_side, divisor)
                count = rows.count(0, height, tile_height)[0] * columns.count(0, width, tile_width)[0]
                yield count * tile_height * tile_width, count, (tile_height, tile_width)
            if tile_height == least_side:
                return

    *_, size = min(grids())
    tiles = tuple(_tiles((0, height, 0, width), size, rows, columns))
    return TilePlan(height, width, halo if len(tiles) > 1 else 0, tiles)


def read_tile(image: ImageRegions, tile: Tile, out: TileBatch | None = None) -> TileBatch:
    """Cut a tile out of an image, reflected where it reaches beyond.

    Parameters
    ----------
    image : uint8 (y, x, channel)
    tile : Tile
        Of a plan for an image of this size.
    out : uint8 (height, width, channel), optional
        Where to write; a new array where not given.

    Returns
    -------
    uint8 (height, width, channel)
        Of the tile.
    """
    seen = image[tile.read]
    height, width = seen.shape[:2]
    if out is None:
        out = np.empty((tile.height, tile.width, image.shape[2]), dtype=np.uint8)
    out[:height, :width] = seen
    if height < tile.height:
        out[height:, :width] = out[_reflected(height, tile.height), :width]
    if width < tile.width:
        out[:, width:] = out[:, _reflected(width, tile.width)]
    return out


def predict_tiled(
    image: ImageRegions, predict: Predict, plan: TilePlan, *, output_count: int, batch_size: int = 1
) -> Probabilities:
    """Let the network see an image batch by batch and put its answers together.

    Parameters
    ----------
    image : uint8 (y, x, channel)
        Normalised image of the size of the plan.
    predict : callable
        Takes tiles ``(n, y, x, channel)`` uint8, gives ``(n, y, x, output_count)`` uint8.
    plan : TilePlan
    output_count : int
        Outputs of the network.
    batch_size : int
        Most tiles in one call; tiles of different sizes never share one.

    Yields
    ------
    region : tuple of slice
        Where the part belongs in the image; each pixel lies in one of them.
    part : uint8 (y, x, output)

    Raises
    ------
    PredictionError
        The network's answer has another shape or type.
    """
    stream = functools.partial(map, predict)
    return next(stream_tiled([image], stream, plan, output_count=output_count, batch_size=batch_size))


def stream_tiled(
    images: Sequence[ImageRegions], predict: PredictStream, plan: TilePlan, *, output_count: int, batch_size: int = 1
) -> Iterator[Probabilities]:
    """Let the network see images of one size in one stream, and put its answers together image by image.

    Parameters and errors are those of `stream_tiles`.

    Yields
    ------
    uint8 (y, x, output)
        One for each image.
    """
    parts = stream_tiles(images, predict, plan, output_count=output_count, batch_size=batch_size)
    for _ in images:
        probabilities = np.empty((plan.height, plan.width, output_count), dtype=np.uint8)
        for region, part in itertools.islice(parts, len(plan.tiles)):
            probabilities[region] = part
        yield probabilities


def stream_tiles(
    images: Sequence[ImageRegions], predict: PredictStream, plan: TilePlan, *, output_count: int, batch_size: int = 1
) -> Iterator[tuple[Region, Probabilities]]:
    """Let the network see images of one size in one stream of batches, and give what is kept of its answers.

    Batches are cut when the stream asks for them, in the order of the images and of the plan.

    Parameters
    ----------
    images : sequence of uint8 (y, x, channel)
        Normalised images of the size of the plan.
    predict : callable
        Takes the batches, gives their answers in the same order; how many it takes ahead is its own affair.
    plan, output_count, batch_size
        As for `predict_tiled`.

    Yields
    ------
    region : tuple of slice
        Where the part belongs in its image; each pixel lies in one of the regions of the image.
    part : uint8 (y, x, output)

    Raises
    ------
    PredictionError
        The network's answer has another shape or type, or there are fewer answers than batches.
    """
    for image in images:
        if image.shape[:2] != (plan.height, plan.width):
            raise PredictionError(f"a plan for {plan.height} by {plan.width} pixels does not fit {image.shape[:2]}")
    groups = tuple(plan.batches(batch_size))
    answers = predict(_cut(image, tiles) for image in images for tiles in groups)
    for _ in images:
        for tiles in groups:
            expected = (len(tiles), tiles[0].height, tiles[0].width, output_count)
            if (answer := next(answers, None)) is None:
                raise PredictionError(f"the network gave no answer where uint8 {expected} was expected")
            if answer.shape != expected or answer.dtype != np.uint8:
                raise PredictionError(f"the network gave {answer.dtype} {answer.shape}, not uint8 {expected}")
            for tile, part in zip(tiles, answer, strict=True):
                yield tile.write, part[tile.local]


def _cut(image: ImageRegions, tiles: Sequence[Tile]) -> TileBatch:
    batch = np.empty((len(tiles), tiles[0].height, tiles[0].width, image.shape[2]), dtype=np.uint8)
    for tile, out in zip(tiles, batch, strict=True):
        read_tile(image, tile, out)
    return batch


def _axes(height: int, width: int, halo: int, divisor: int) -> tuple[Axis, Axis]:
    """Rows and columns of an image, of which there must be some."""
    if height < 1 or width < 1:
        raise OptionError(f"an image has at least one pixel, not {height} by {width}")
    return Axis(height, _round_up(height, divisor), halo), Axis(width, _round_up(width, divisor), halo)


def _tiles(rectangle: Rectangle, size: tuple[int, int], rows: Axis, columns: Axis) -> Iterator[Tile]:
    """Tiles of one size, row by row, that keep the pixels of a rectangle."""
    top, bottom, left, right = rectangle
    height, width = size
    across = [(columns.start(first, width), first, end) for first, end in columns.steps(left, right, width)]
    for y_first, y_end in rows.steps(top, bottom, height):
        y = rows.start(y_first, height)
        for x, x_first, x_end in across:
            yield Tile(
                height=height,
                width=width,
                read=(slice(y, min(y + height, rows.length)), slice(x, min(x + width, columns.length))),
                local=(slice(y_first - y, y_end - y), slice(x_first - x, x_end - x)),
                write=(slice(y_first, y_end), slice(x_first, x_end)),
            )


def _reflected(length: int, side: int) -> npt.NDArray[np.intp]:
    """Continue the indices 0, 1, ..., length - 1 up to `side` by reflection, the edge pixel not repeated."""
    period = max(2 * (length - 1), 1)  # 1 repeats a single pixel
    index = np.arange(length, side) % period
    return np.minimum(index, period - index)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
