"""How sharp an image is, and whether it shows anything but noise, from one set of blurred copies.

**Focus.** Let E(s) be the gradient energy at the strongest edges after a Gaussian blur of s pixels. Of a structure that
is already blurred by b pixels it falls like (s² + b²)^-k, where k depends on the structure: it is larger for lines than
for steps. In ``log(E(1) / E(2)) / log(E(2) / E(4))`` k cancels. What is left depends on b alone and falls from nearly 1
for b = 0 to 1/4. Edges are weighed by their energy after the coarser blur, and the energy that noise adds is taken off.
Estimating blur by blurring again goes back to F. Crete et al., "The blur effect", Proc. SPIE 6492 (2007).

**Structure.** The fourth moment of a band-pass filtered image (the blur of 2 minus that of 4) is three times the square
of the second where there is nothing but noise. The second moment of the noise is known from its finest grain, so slow
changes of brightness and a few objects on a large field show in the right way.
"""

from collections.abc import Callable
from math import log, pi, sqrt
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8
from monolayer_core.levels import look_up

_Grey: TypeAlias = npt.NDArray[np.integer[Any] | np.floating[Any]]

# Blurs in pixels. The coarsest is made at half size: pyrDown blurs by 1 pixel, 1.94 half pixels make that 4 in all.
_FINE, _MIDDLE, _COARSE_AT_HALF_SIZE = 1.0, 2.0, 1.94
_HALF_SIZE_GAIN = 4.0  # a central difference at half size spans twice the pixels, its square is four times as large
# What white noise of variance 1 leaves: squared central differences, both directions summed, after the fine and the
# middle blur; squared difference of the middle and the coarse blur. Measured on 2**20 random numbers.
_NOISE_FINE, _NOISE_MIDDLE, _NOISE_BAND = 0.2150, 0.01858, 0.00951
_BLURRIEST = 0.25  # what the ratio of logarithms tends to with ever larger blur

_MIN_SIDE = 8  # smaller images are padded by repeating their edge
# Of high images evenly spaced bands of rows are looked at, 512 rows or more in all, in every other row of the grid.
_BAND_ROWS, _MIN_BANDS, _ROWS_PER_BAND = 64, 8, 512


class Sharpness(NamedTuple):
    """Both 0 to 1; 0 and 0 where nothing varies."""

    focus: float
    structure: float


def measure_sharpness(height: int, grey: Callable[[slice], _Grey], table: ImageUInt8) -> Sharpness:
    """Measure an image of any size.

    Parameters
    ----------
    height
        Rows of the image.
    grey
        Takes rows, gives them ``(y, x)``, levels of uint8 or uint16.
    table
        Grey level, 0 to 255, of each level.
    """
    sums = np.zeros(len(_Sums._fields))
    bands = _bands(height)
    for rows in bands:
        band = look_up(np.ascontiguousarray(grey(rows)), table)
        missing = [max(0, _MIN_SIDE - side) for side in band.shape]
        if any(missing):
            padded = cv2.copyMakeBorder(band, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
            band = np.asarray(padded, dtype=np.uint8)
        sums += _sums(band, step=1 if len(bands) == 1 else 2)
    return _evaluate(_Sums(*sums.tolist()))


class _Sums(NamedTuple):
    """Sums over the grid: products of the energies after the three blurs and of the band's square, and the noise."""

    fine_middle: float
    middle_middle: float
    middle_coarse: float
    coarse_coarse: float
    middle: float
    coarse: float
    band_band: float
    band: float
    grain: float
    places: float


def _evaluate(sums: _Sums) -> Sharpness:
    if sums.band_band == 0:
        return Sharpness(0.0, 0.0)
    # Of a Gaussian the mean of the absolute value is sqrt(2 / pi) times the standard deviation; the filter's gain is 6.
    noise = (sqrt(pi / 2) / 6 * sums.grain / sums.places) ** 2
    structure = max(0.0, 1.0 - 3.0 * _NOISE_BAND * noise * sums.band / sums.band_band)
    fine = sums.fine_middle - _NOISE_FINE * noise * sums.middle
    middle = sums.middle_middle - _NOISE_MIDDLE * noise * sums.middle
    middle_at_coarse = (sums.middle_coarse - _NOISE_MIDDLE * noise * sums.coarse) * _HALF_SIZE_GAIN
    if not (fine > middle > 0 and middle_at_coarse > sums.coarse_coarse > 0):
        return Sharpness(0.0, structure)
    ratio = log(fine / middle) / log(middle_at_coarse / sums.coarse_coarse)
    return Sharpness(min(max((ratio - _BLURRIEST) / (1.0 - _BLURRIEST), 0.0), 1.0), structure)


def _bands(height: int) -> list[slice]:
    count = max(_MIN_BANDS, height // _ROWS_PER_BAND)
    if height <= count * _BAND_ROWS:
        return [slice(0, height)]
    starts = [number * (height - _BAND_ROWS) // (count - 1) for number in range(count)]
    return [slice(start, start + _BAND_ROWS) for start in starts]


def _sums(image: ImageUInt8, step: int) -> npt.NDArray[np.float64]:
    middle_image = cv2.GaussianBlur(image, (11, 11), _MIDDLE)
    coarse_image = cv2.GaussianBlur(cv2.pyrDown(image), (11, 11), _COARSE_AT_HALF_SIZE)
    grid = _Grid(coarse_image.shape[0], coarse_image.shape[1], step)
    fine_columns = _Columns.of(cv2.GaussianBlur(image, (5, 5), _FINE))
    middle_columns = _Columns.of(middle_image)
    coarse_columns = _Columns(coarse_image, None)
    fine, middle = grid.energy(fine_columns), grid.energy(middle_columns)
    coarse = grid.energy(coarse_columns)
    band = cv2.subtract(grid.cut(middle_columns), grid.cut(coarse_columns), dtype=cv2.CV_32F)
    band = cv2.multiply(band, band)
    return np.array(
        [
            np.vdot(fine, middle),
            np.vdot(middle, middle),
            np.vdot(middle, coarse),
            np.vdot(coarse, coarse),
            middle.sum(),
            coarse.sum(),
            np.vdot(band, band),
            band.sum(),
            grid.grain(_Columns.of(image)),
            band.size,
        ]
    )


class _Columns(NamedTuple):
    """An image at full size by its even and its odd columns, or one at half size, which has no odd ones.

    OpenCV takes every other row of an array as it is, but copies one of every other column at each call.
    """

    even: _Grey
    odd: _Grey | None

    @classmethod
    def of(cls, image: _Grey) -> "_Columns":
        """Take an image at full size apart; of an odd number of columns the last one is left out."""
        height, half = image.shape[0], image.shape[1] // 2
        even, odd = cv2.split(np.ascontiguousarray(image[:, : 2 * half]).reshape(height, half, 2))
        return cls(even, odd)


class _Grid(NamedTuple):
    """The pixels of the half-size image but its outermost, of rows every `step`-th; the same places at full size."""

    height: int
    width: int
    step: int

    def cut(self, image: _Columns, y: int = 0, x: int = 0) -> _Grey:
        """Take the places, shifted by (y, x) of -1 to 1, out of an image."""
        scale = 1 if image.odd is None else 2
        rows = slice(scale + y, scale * (self.height - 2) + y + 1, scale * self.step)
        if image.odd is None:
            return image.even[rows, 1 + x : self.width - 1 + x]
        if x == 0:
            return image.even[rows, 1 : self.width - 1]
        first = (x + 1) // 2  # left of the even column of the same number lies the odd one before
        return image.odd[rows, first : first + self.width - 2]

    def energy(self, image: _Columns) -> npt.NDArray[np.float32]:
        """Squared central differences, both directions summed."""
        dx = cv2.subtract(self.cut(image, x=1), self.cut(image, x=-1), dtype=cv2.CV_32F)
        dy = cv2.subtract(self.cut(image, y=1), self.cut(image, y=-1), dtype=cv2.CV_32F)
        return np.asarray(cv2.add(cv2.multiply(dx, dx), cv2.multiply(dy, dy)), dtype=np.float32)

    def grain(self, image: _Columns) -> float:
        """Sum of the absolute values after the filter [1 -2 1] along both axes, which edges and slopes hardly pass.

        J. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64 (1996) 300-302.
        """
        columns = []
        for x in (-1, 0, 1):
            inner = self.cut(image, 0, x)
            outer = cv2.add(self.cut(image, -1, x), self.cut(image, 1, x), dtype=cv2.CV_16S)
            columns.append(cv2.subtract(outer, cv2.add(inner, inner, dtype=cv2.CV_16S)))
        left, middle, right = columns
        return float(cv2.norm(cv2.subtract(cv2.add(left, right), cv2.add(middle, middle)), cv2.NORM_L1))
