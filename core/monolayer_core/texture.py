"""Cells as the uneven part of an image: phase contrast, where a cell is neither brighter nor darker than the ground.

The local standard deviation tells cells from the ground (N. Jaccard et al., "Automated method for the rapid and precise
estimation of adherent cell culture characteristics from phase contrast microscopy images", Biotechnology and
Bioengineering 111/3, 2014, who correct halos too, by the direction of gradients). Here its logarithm is clustered by
K-means instead of cut at a tuned threshold. It spans a few decades; on the logarithm ground and cells are two hills.

What is uneven includes the halo that phase contrast lays around every cell, outside of it. The halo lies between ground
and cell, so it is peeled off from the outside: pixels beyond the noise of the ground, on the halo's side of it, as far
as they hang together with the ground and as deep as a halo is wide. Halos are bright, or dark in negative phase
contrast: whichever the rim of the uneven part is. An inverted image gives the same mask.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import Mask, Pixels
from monolayer_core.instances import BACKGROUND_CONNECTIVITY, FOREGROUND_CONNECTIVITY, fill_holes
from monolayer_core.partition import partition_line

SIGMA_PX = 2.0
"""Standard deviation of the Gaussian window in which the local standard deviation is taken. The organelles of a cell
are a few pixels large at 10x and 20x; half and twice the magnification were tried with the same window."""

HALO_DEPTH = 5.0
"""Width of a halo and of the blur about it, in units of `SIGMA_PX`."""

GROUND_SIGMA_PX = 16 * SIGMA_PX
"""Standard deviation of the Gaussian in which the level of the ground is taken: about the size of a cell."""

HALO_NOISE = 2.5
"""A halo stands out from the ground by more than this many standard deviations of the ground's own noise."""

MIN_AREA_PX = round(75 * SIGMA_PX**2)
"""Smaller pieces are debris, and smaller holes are not ground."""

_LEVELS = 256
_LOWEST_LOG, _HIGHEST_LOG = -8.0, 4.0  # of the local over the image's standard deviation; beyond, levels are clipped
_BAND_PX = 1 << 22  # pixels worked on in float32 at once
_SAMPLES = 1 << 16  # enough for a median
_SMALL_SIGMA_PX = 4.0  # the level of the ground is found on a picture where its Gaussian is this wide

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Texture:
    """Where an image is uneven, and the clusters behind it.

    Attributes
    ----------
    mask
        ``(y, x)``: the uneven part without halos and debris.
    k
        Number of clusters; 1 where the image is constant.
    centres
        Geometric mean of the local standard deviation in each cluster, ascending, in the units of the input.
    shares
        Fraction of the image's pixels in each cluster, before halos and debris are taken off.
    """

    mask: Mask
    k: int
    centres: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]


def find_texture(pixels: Pixels, clusters: int | Literal["auto"] = "auto") -> Texture:
    """Find the uneven part of a grey image.

    Parameters
    ----------
    pixels
        ``(y, x)``, any real type, finite.
    clusters
        All clusters of the local standard deviation but the smoothest are uneven; ``"auto"``: two. With more of them
        the cut comes closer to the ground.
    """
    mean, deviation = _mean_and_deviation(pixels)
    if deviation == 0.0:
        return Texture(np.zeros(pixels.shape, dtype=np.bool_), 1, ((0.0,),), (1.0,))
    level = np.empty(pixels.shape, dtype=np.uint8)
    for rows, inside, values in _bands(pixels, mean):
        level[rows] = _unevenness(values / np.float32(deviation))[inside]
    counts = np.bincount(level.reshape(-1), minlength=_LEVELS)
    occurring = np.flatnonzero(counts)
    partitions = partition_line(occurring.astype(np.float64), counts[occurring], 2 if clusters == "auto" else clusters)
    bounds = [*occurring[partitions.starts[-1]].tolist(), _LEVELS]
    logarithm = np.linspace(_LOWEST_LOG, _HIGHEST_LOG, _LEVELS)
    parts = [slice(first, last) for first, last in pairwise(bounds)]
    centres = [deviation * np.exp(np.average(logarithm[part], weights=counts[part])) for part in parts]
    return Texture(
        mask=_without_debris(_without_halo(pixels, mean, level >= bounds[1])),
        k=len(parts),
        centres=tuple((float(centre),) for centre in centres),
        shares=tuple(float(counts[part].sum() / level.size) for part in parts),
    )


def _mean_and_deviation(pixels: Pixels) -> tuple[float, float]:
    values = pixels if pixels.dtype in (np.uint8, np.uint16, np.float32) else pixels.astype(np.float64)
    mean, deviation = cv2.meanStdDev(values)
    return float(mean.flat[0]), float(deviation.flat[0])


def _bands(pixels: Pixels, mean: float) -> Iterator[tuple[slice, slice, Float32Array]]:
    """Cut an image into bands of rows, so that memory does not grow with it.

    Yields the rows of a band, where they lie in the third, and the pixels less their mean with a margin as wide as the
    Gaussian reaches.
    """
    height, width = pixels.shape
    count = max(1, _BAND_PX // width)
    margin = round(5 * SIGMA_PX)
    for top in range(0, height, count):
        bottom, first = min(top + count, height), max(top - margin, 0)
        values = np.subtract(pixels[first : bottom + margin], mean, dtype=np.float64).astype(np.float32)
        yield slice(top, bottom), slice(top - first, bottom - first), values


def _unevenness(values: Float32Array) -> npt.NDArray[np.uint8]:
    """Logarithm of the local standard deviation, placed evenly on 0 to 255."""
    mean = cv2.GaussianBlur(values, (0, 0), SIGMA_PX)
    variance = cv2.GaussianBlur(values * values, (0, 0), SIGMA_PX) - mean * mean
    np.maximum(variance, np.float32(np.exp(2 * _LOWEST_LOG)), out=variance)
    scale = (_LEVELS - 1) / (_HIGHEST_LOG - _LOWEST_LOG)
    return cv2.convertScaleAbs(cv2.log(variance), alpha=scale / 2, beta=-_LOWEST_LOG * scale).astype(
        np.uint8, copy=False
    )


def _without_halo(pixels: Pixels, mean: float, uneven: Mask) -> Mask:
    """Peel the halo off from the outside."""
    away = np.empty(pixels.shape, dtype=np.float32)
    for rows, inside, values in _bands(pixels, mean):
        away[rows] = cv2.GaussianBlur(values, (0, 0), SIGMA_PX / 2)[inside]
    level = _ground_level(away, ~uneven)
    away -= level
    noise = _noise(pixels, level, mean, ~uneven)
    depth = cv2.distanceTransform(uneven.view(np.uint8), cv2.DIST_L2, 5)
    rim = uneven & (depth <= HALO_DEPTH * SIGMA_PX / 2)
    if cv2.mean(away, mask=rim.view(np.uint8))[0] < 0:
        np.negative(away, out=away)
    open_ground = ~uneven | ((away > HALO_NOISE * noise) & (depth <= HALO_DEPTH * SIGMA_PX))
    del away, level, depth, rim  # what follows needs as much memory again
    count, pieces = cv2.connectedComponents(open_ground.view(np.uint8), connectivity=BACKGROUND_CONNECTIVITY)
    is_reached = np.zeros(count, dtype=np.bool_)
    is_reached[pieces[~uneven]] = True
    return np.asarray(~is_reached[pieces], dtype=np.bool_)


def _ground_level(values: Float32Array, ground: Mask) -> Float32Array:
    """Level of the ground everywhere: the mean of the ground about each pixel, weighted by a Gaussian."""
    height, width = values.shape
    shrink = _SMALL_SIGMA_PX / GROUND_SIGMA_PX
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    weight = ground.astype(np.float32)
    blurred = [
        cv2.GaussianBlur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (0, 0), _SMALL_SIGMA_PX)
        for plane in (values * weight, weight)
    ]
    level = blurred[0] / np.maximum(blurred[1], np.float32(1e-6))
    return np.asarray(cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _noise(pixels: Pixels, level: Float32Array, mean: float, ground: Mask) -> float:
    """Find the standard deviation of the ground about its level, from a median: what is no ground hardly moves that.

    Pixels on a coarse grid are enough for that.
    """
    stride = max(1, math.isqrt(pixels.size // _SAMPLES))
    grid = (slice(None, None, stride), slice(None, None, stride))
    away = (pixels[grid] - mean - level[grid])[ground[grid]]
    return (
        1.4826 * float(np.median(np.abs(away))) if away.size else 0.0
    )  # the ratio of the two in a normal distribution


def _without_debris(mask: Mask) -> Mask:
    """Drop what is thin or small, fill small holes."""
    side = 2 * round(SIGMA_PX) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disc), dtype=np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=FOREGROUND_CONNECTIVITY)
    is_large = stats[:, cv2.CC_STAT_AREA] >= MIN_AREA_PX
    is_large[0] = False
    return fill_holes(is_large[pieces], MIN_AREA_PX)
