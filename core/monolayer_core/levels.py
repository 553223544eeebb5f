"""An image as counted grey levels: what normalisation, clustering and quality read from its histogram.

**Percentiles.** With N values in the image (all channels counted together), the low end is the smallest value for which
more than ``low_percentile / 100 * N`` values are equal or smaller, and the high end the largest value for which more
than ``(100 - high_percentile) / 100 * N`` values are equal or larger. Both are values that occur in the image. The two
rules mirror each other: with symmetric percentiles an inverted image has the inverted ends.

**Levels.** Integers that span at most 65,536 values are counted exactly. Other numbers are first placed on 65,536
evenly spaced levels between their smallest and largest value. Where a few outliers leave the percentiles closer
together than `FINE_LEVELS` levels, the levels are laid again over the range between the percentiles, so that one hot
pixel in a float image costs no grey levels.

An image is gone through by rows, once or a few times, and only the counts are kept; the levels of its pixels are made
where they are looked at.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, Pixels
from monolayer_core.errors import UnusableImageError
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.row_source import RowSource, bands

LEVELS = 1 << 16
FINE_LEVELS = 1 << 10
"""With 1024 levels between the percentiles each of 256 grey levels is four wide: rounding costs at most 1/8 of one."""

DEFAULT_SPEC = NormalizationSpec()
"""The stretch between the 0.5th and the 99.5th percentile."""

_ROUNDS = 4  # each divides the range by at least 63 and, where all but outliers are alike, by thousands
_CHUNK = 1 << 19  # values worked on at once: temporaries stay within the caches, whatever the size of the image

Counts = npt.NDArray[np.int64]
Index = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Levels:
    """The levels of an image: how they are found, how often each occurs, and what it stands for.

    Attributes
    ----------
    place
        Takes pixels of the image, gives their levels: uint8, or uint16 where 256 levels do not do.
    counts
        How often each level occurs, int64, 256 or 65,536 entries.
    origin, step
        Level i stands for the value ``origin + i * step``, in the units of the input.
    maximum
        Largest value of the image, as it is.
    """

    place: Callable[[Pixels], Index]
    counts: Counts
    origin: float
    step: float
    maximum: float


def percentile_levels(counts: Counts, spec: NormalizationSpec) -> tuple[int, int]:
    """Low and high end of the stretch as indices into the counts; see the module for the definition.

    Examples
    --------
    >>> percentile_levels(np.array([1, 98, 1]), NormalizationSpec(low_percentile=1, high_percentile=99))
    (1, 1)
    >>> percentile_levels(np.array([2, 96, 2]), NormalizationSpec(low_percentile=1, high_percentile=99))
    (0, 2)
    """
    at_most = np.cumsum(counts)
    total = int(at_most[-1])
    # Compared as whole numbers: multiplying 65,536 sums takes longer than counting a frame.
    low = int(np.searchsorted(at_most, int(spec.low_percentile * total // 100), side="right"))
    # "More than 100 - p percent are equal or larger" and "fewer than p percent are smaller" are the same.
    high = int(np.searchsorted(at_most, -int(-spec.high_percentile * total // 100), side="left"))
    return low, high


def count_levels(source: RowSource, spec: NormalizationSpec = DEFAULT_SPEC) -> Levels:
    """Place an image on at most 65,536 levels and count them; see the module for the rules.

    `spec` matters only for values that do not fit 65,536 levels one to one: its percentiles choose the range on which
    the levels lie closest. Levels outside that range are counted in the first and the last one.

    Raises
    ------
    UnusableImageError
        The image is empty, complex, or holds NaN or infinity.
    """
    if not (source.height and source.width and source.channels):
        raise UnusableImageError("the image has no pixels")
    if source.dtype.kind not in "buif":
        raise UnusableImageError(f"pixels of type {source.dtype} cannot be normalised; real numbers are needed")
    if source.dtype.newbyteorder("=") in (np.bool_, np.uint8, np.uint16):
        counts = _count(source, _as_they_are)
        return Levels(_as_they_are, counts, 0.0, 1.0, len(counts) - 1 - int(np.argmax(counts[::-1] > 0)))
    minimum, maximum = _extremes(source)
    if not (np.isfinite(minimum) and np.isfinite(maximum)):
        raise UnusableImageError("the image holds NaN or infinite values")
    if source.dtype.kind in "iu" and int(maximum) - int(minimum) < LEVELS:
        place = functools.partial(_offsets, minimum=minimum)
        return Levels(place, _count(source, place), float(minimum), 1.0, maximum.item())
    return _even_levels(source, float(minimum), float(maximum), maximum.item(), spec)


def _count(source: RowSource, place: Callable[[Pixels], Index]) -> Counts:
    counted: Counts = functools.reduce(
        np.add, (count_each(place(source.read(rows))) for rows in bands(source.height, source.width))
    )
    return counted


def _extremes(source: RowSource) -> tuple[Any, Any]:
    """Smallest and largest value, in the type of the image; NaN where there is one."""
    extremes = [(rows.min(), rows.max()) for rows in map(source.read, bands(source.height, source.width))]
    smallest, largest = np.array(extremes, dtype=source.dtype.newbyteorder("=")).T
    return smallest.min(), largest.max()


def _as_they_are(pixels: Pixels) -> Index:
    if pixels.dtype == np.bool_:
        return np.ascontiguousarray(pixels).view(np.uint8)
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))


def _offsets(pixels: Pixels, minimum: np.integer[Any]) -> Index:
    # Unsigned wrap-around subtracts exactly, also where the difference leaves the signed type.
    unsigned = np.dtype(f"u{pixels.dtype.itemsize}")
    pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    offsets: Index = pixels.view(unsigned) - minimum.view(unsigned)
    return offsets.astype(np.uint16, copy=False)


def _even_levels(source: RowSource, minimum: float, maximum: float, largest: float, spec: NormalizationSpec) -> Levels:
    if not np.isfinite(maximum - minimum):
        raise UnusableImageError(f"the values span from {minimum:g} to {maximum:g}, more than can be told apart")
    low, high = minimum, maximum
    for _ in range(_ROUNDS):
        place = functools.partial(_quantise, low=low, high=high)
        counts = _count(source, place)
        step = (high - low) / (LEVELS - 1)
        first, last = percentile_levels(counts, spec)
        if last - first >= FINE_LEVELS:
            return Levels(place, counts, low, step, largest)
        # One level more on either side: the percentiles themselves stay inside the new range.
        low, high = max(low + (first - 1) * step, minimum), min(low + (last + 1) * step, maximum)
    # The values between the percentiles are as good as equal (or few): what tells pixels apart is the whole range.
    place = functools.partial(_quantise, low=minimum, high=maximum)
    return Levels(place, _count(source, place), minimum, (maximum - minimum) / (LEVELS - 1), largest)


def _quantise(pixels: Pixels, low: float, high: float) -> npt.NDArray[np.uint16]:
    pixels = np.ascontiguousarray(pixels)
    index = np.empty(pixels.shape, dtype=np.uint16)
    if high <= low:
        index[...] = 0
        return index
    flat, out = pixels.reshape(-1), index.reshape(-1)
    for part in _parts(flat.size):
        # float64 throughout: float32 would put images with a large offset on too few levels
        values = flat[part].astype(np.float64)
        values -= low
        values /= high - low
        values *= LEVELS - 1
        np.rint(values, out=values)
        np.clip(values, 0, LEVELS - 1, out=values)
        out[part] = values
    return index


def count_each(index: npt.NDArray[np.unsignedinteger]) -> Counts:
    """Count how often each value of a uint8 or uint16 array occurs; int64, 256 or 65,536 entries."""
    flat = index.reshape(-1)
    counts = np.zeros(1 << (8 * index.dtype.itemsize), dtype=np.int64)
    for part in _parts(flat.size):
        if index.dtype == np.uint8:
            # Counts come back as float32, exact as long as a part holds fewer than 2**24 values.
            row = flat[part].reshape(1, -1)
            counts += cv2.calcHist([row], [0], None, [256], [0, 256]).reshape(-1).astype(np.int64)
        else:
            counts += np.bincount(flat[part], minlength=len(counts))
    return counts


def stretch_table(low: int, high: int, length: int) -> ImageUInt8:
    """Grey level of each level: 0 up to `low`, 255 from `high` on, linear between; all 0 where the two are equal."""
    if high <= low:
        return np.zeros(length, dtype=np.uint8)
    # In integers, so that halves are rounded up whatever the range.
    doubled = 2 * 255 * (np.arange(length).clip(low, high) - low) + (high - low)
    return (doubled // (2 * (high - low))).astype(np.uint8)


def look_up(index: npt.NDArray[np.unsignedinteger], table: ImageUInt8) -> ImageUInt8:
    """Grey level of each of the levels that `Levels.place` gives; C-contiguous."""
    if index.dtype == np.uint8:
        return np.asarray(cv2.LUT(index, table), dtype=np.uint8).reshape(index.shape)
    flat, out = index.reshape(-1), np.empty(index.size, dtype=np.uint8)
    for part in _parts(flat.size):
        np.take(table, flat[part], out=out[part], mode="clip")  # "clip" writes into `out` without a buffer
    return out.reshape(index.shape)


def _parts(size: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, size, _CHUNK))
