"""K-means of a colour image on the colours that occur in it.

Colours are counted in cells of 8 x 8 x 8 levels, so that a million pixels become at most a few thousand weighted
points, and scikit-learn's K-means runs on those. It starts from the optimum along their principal axis, which needs no
random numbers and is blind to an inversion of the image (after Su & Dy, "In search of deterministic methods for
initializing K-means clustering", Intelligent Data Analysis 11/4, 2007).
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from monolayer_core.arrays import ImageUInt8, Pixels
from monolayer_core.partition import Floats, Integers, LinePartitions, partition_line

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness by which clusters are ordered (ITU-R BT.601)."""

_SHIFT = 3
_BITS = 8 - _SHIFT
_AXIS_BINS = 256
_MOST_ROUNDS = 100
_BAND_PX = 1 << 22


def brightness(pixels: Pixels) -> Pixels:
    """Weighted mean of red, green and blue, ``(y, x)``; a grey image is its own brightness."""
    if pixels.ndim == 2:
        return pixels
    values = pixels if pixels.dtype in (np.uint8, np.uint16, np.float32) else pixels.astype(np.float32)
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))


@dataclass(frozen=True)
class ColourTable:
    """The colours of an image with their counts.

    Attributes
    ----------
    cell
        ``(y, x)`` uint16: number of the colour cell of each pixel.
    occupied
        ``(n,)``: numbers of the cells that occur, ascending.
    colours
        ``(n, 3)``: red, green and blue in the middle of each of these cells, 0 to 255.
    counts
        ``(n,)``: pixels in each of these cells.
    """

    cell: npt.NDArray[np.uint16]
    occupied: Integers
    colours: Floats
    counts: Integers


def count_colours(image: ImageUInt8) -> ColourTable:
    """Count the colours of an RGB image ``(y, x, 3)`` in cells of eight levels a side."""
    place = np.array([[1 << (2 * _BITS), 1 << _BITS, 1]], dtype=np.float64)
    height, width = image.shape[:2]
    cell = np.empty((height, width), dtype=np.uint16)
    counts = np.zeros(1 << (3 * _BITS), dtype=np.int64)
    rows = max(1, _BAND_PX // width)
    for top in range(0, height, rows):  # in bands, because counting takes eight bytes a pixel
        band = cell[top : top + rows]
        band[...] = cv2.transform((image[top : top + rows] >> _SHIFT).astype(np.uint16), place)
        counts += np.bincount(band.reshape(-1), minlength=len(counts))
    occupied = np.flatnonzero(counts)
    digits = np.stack([occupied >> (2 * _BITS), occupied >> _BITS, occupied], axis=1) & ((1 << _BITS) - 1)
    middle = ((1 << _SHIFT) - 1) / 2
    return ColourTable(cell, occupied, (digits << _SHIFT).astype(np.float64) + middle, counts[occupied])


@dataclass(frozen=True)
class PrincipalAxis:
    """Colours projected on the line along which they vary most, and the best partitions on that line.

    Attributes
    ----------
    position
        ``(n,)``: place of each colour of the table on the line, in `partitions`' order of points.
    partitions
        Partitions of the occupied places.
    """

    position: Integers
    partitions: LinePartitions


def partition_axis(table: ColourTable, most: int) -> PrincipalAxis:
    """Partition the colours along their principal axis into up to `most` clusters."""
    centred = table.colours - np.average(table.colours, axis=0, weights=table.counts)
    _, axes = np.linalg.eigh((centred * table.counts[:, np.newaxis]).T @ centred)
    along = centred @ axes[:, -1]
    reach = float(np.abs(along).max()) or 1.0
    # Bins symmetric about the mean: the mirrored colours of an inverted image fall into the mirrored bins.
    bins = np.rint((along / reach) * (_AXIS_BINS // 2)).astype(np.int64) + _AXIS_BINS // 2
    weights = np.bincount(bins, weights=table.counts)
    occurring = np.flatnonzero(weights)
    partitions = partition_line(occurring.astype(np.float64), weights[occurring], most)
    return PrincipalAxis(np.searchsorted(occurring, bins), partitions)


def cluster_colours(table: ColourTable, axis: PrincipalAxis, k: int) -> Integers:
    """Cluster 0 to k - 1 of each colour of the table, ordered by brightness.

    Parameters
    ----------
    table
        The colours and their counts.
    axis
        Where to start from: `partition_axis` of the same table.
    k
        Number of clusters, at least 2; at most the number of partitions of `axis`.
    """
    from sklearn.cluster import KMeans  # takes half a second to load, and only colours need it

    first = np.searchsorted(axis.partitions.starts[k - 1], axis.position, side="right") - 1
    weight = np.bincount(first, weights=table.counts)
    start = np.stack([np.bincount(first, weights=table.counts * level) / weight for level in table.colours.T], axis=1)
    with _thread_pools().limit(limits=1, user_api="openmp"):
        found = KMeans(k, init=start, n_init=1, max_iter=_MOST_ROUNDS, random_state=0).fit(
            table.colours, sample_weight=table.counts.astype(np.float64)
        )
    by_brightness = np.argsort(found.cluster_centers_ @ np.array(LUMA), kind="stable")
    rank = np.argsort(by_brightness)
    return np.asarray(rank[found.labels_], dtype=np.int64)


@cache
def _thread_pools() -> ThreadpoolController:
    """Thread pools of the libraries that are loaded; call it after scikit-learn was imported.

    A thousand points take one thread 2 ms; waiting for the second thread takes up to 100 ms where the cores are busy.
    """
    return ThreadpoolController()
