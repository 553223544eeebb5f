"""How wide the halo must be, measured: the narrowest at which tiles leave no trace.

The receptive field gives an upper bound only; weights that were trained look less far than they could. So the same
images are computed whole and in tiles with ever wider halos, until the two agree.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from monolayer_core.arrays import ImageUInt8, Predict, Probabilities
from monolayer_core.tiling import plan_tiles, predict_tiled

MAX_LEVELS = 1
"""Tiled and untiled probabilities agree in a pixel when no output differs by more, in units of 1/255."""

REQUIRED_FRACTION = 0.9999
"""Share of the pixels of each trial image that must agree.

What is promised is 99.9 %, for images of every kind. The few that are tried must agree ten times better: with 99.9 % of
these a collage of stained tissue fell short of it. Of each, because the promise is made for every image that is sent,
not for the average one. Counted with the smallest tiles, which have the most seams: with the larger ones that a plan
prefers, more agree."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HaloPoint:
    """Outcome for one tile side and halo, in pixels.

    `differing` is the fraction of pixels of all images that differ by more than `MAX_LEVELS`, `worst_image` that of the
    image where it is highest.
    """

    side: int
    halo: int
    differing: float
    worst_image: float


@dataclass(frozen=True)
class HaloMeasurement:
    """The halo to use, the tile sides it is good for, every point measured, and whether the requirement is met."""

    halo: int
    tile_sides: tuple[int, ...]
    curve: tuple[HaloPoint, ...]
    sufficient: bool


def measure_halo(
    predict: Predict, images: Sequence[ImageUInt8], *, tile_sides: Sequence[int], divisor: int, output_count: int
) -> HaloMeasurement:
    """Find the smallest multiple of the divisor that suffices as halo.

    The smallest tile side is used: it has the most seams. Halos are tried below half of it; where none suffices, that
    side is given up and the next one tried, as long as an image is larger than it. In the end, where no side has a halo
    that suffices, all sides are kept with the widest halo that fits into the smallest.

    Parameters
    ----------
    predict
        The network, taking any multiple of the divisor as height and width.
    images
        Normalised images ``(y, x, channel)``. Only those larger than a tile tell anything.
    tile_sides
        Ascending, in pixels.
    divisor
        Of height and width.
    output_count
        Outputs of the network.
    """
    # Cut to multiples of the divisor: no pixel is made up, and the network sees the same edge in both ways.
    images = [image[: image.shape[0] // divisor * divisor, : image.shape[1] // divisor * divisor] for image in images]
    curve: list[HaloPoint] = []
    for index, side in enumerate(tile_sides):
        larger = [image for image in images if max(image.shape[:2]) > side and min(image.shape[:2]) >= divisor]
        if not larger:
            break
        untiled = [predict(image[np.newaxis])[0] for image in larger]
        for point in _points(predict, larger, untiled, side=side, divisor=divisor, output_count=output_count):
            curve.append(point)
            log.info(
                "tiles of %d, halo %d: %.3f %% of pixels differ, in the worst image %.3f %%",
                side,
                point.halo,
                100 * point.differing,
                100 * point.worst_image,
            )
            if point.worst_image <= 1 - REQUIRED_FRACTION:
                return HaloMeasurement(point.halo, tuple(tile_sides[index:]), tuple(curve), sufficient=True)
        log.warning("no halo below half of a tile of %d pixels suffices", side)
    return HaloMeasurement(widest_halo(tile_sides[0], divisor), tuple(tile_sides), tuple(curve), sufficient=False)


def widest_halo(side: int, divisor: int) -> int:
    """Give the largest multiple of the divisor below half of a tile, in pixels.

    Examples
    --------
    >>> widest_halo(256, 16), widest_halo(128, 32)
    (112, 32)
    """
    return (side - 1) // (2 * divisor) * divisor


def differing_pixels(tiled: Probabilities, untiled: Probabilities) -> int:
    """Pixels in which an output differs by more than `MAX_LEVELS`.

    Examples
    --------
    >>> row = np.array([[[7, 0], [7, 0], [7, 0]]], np.uint8)
    >>> differing_pixels(row, row + np.array([[[0, 0], [0, 1], [0, 2]]], np.uint8))
    1
    """
    difference = np.abs(tiled.astype(np.int16) - untiled)
    return int(np.count_nonzero((difference > MAX_LEVELS).any(axis=-1)))


def _points(
    predict: Predict,
    images: Sequence[ImageUInt8],
    untiled: Sequence[Probabilities],
    *,
    side: int,
    divisor: int,
    output_count: int,
) -> Iterator[HaloPoint]:
    for halo in range(0, widest_halo(side, divisor) + 1, divisor):
        fractions, total, pixels = [], 0, 0
        for image, whole in zip(images, untiled, strict=True):
            plan = plan_tiles(*image.shape[:2], sides=[side], halo=halo, divisor=divisor)
            count = differing_pixels(predict_tiled(image, predict, plan, output_count=output_count), whole)
            fractions.append(count / (plan.height * plan.width))
            total, pixels = total + count, pixels + plan.height * plan.width
        yield HaloPoint(side, halo, total / pixels, max(fractions))
