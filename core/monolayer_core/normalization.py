"""From pixel values of any kind to the uint8 that networks, K-means and people look at.

The one normalisation of the project. It acts on a whole image, never on a tile: the values are counted once, two
percentiles are read from the counts, and one lookup table turns every pixel into 0 to 255. Counts add up, so the result
does not depend on how an image is cut, and a value is always mapped to the same grey level wherever it stands. What a
percentile is, and how floats are counted, is written down in `monolayer_core.levels`.

With symmetric percentiles an inverted image gives the inverted result; what falls exactly between two grey levels is
rounded up and may differ by one.
"""

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, Pixels
from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.levels import DEFAULT_SPEC, Counts, count_levels, look_up, percentile_levels, stretch_table
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.row_source import ArrayRows


def normalize(pixels: Pixels, spec: NormalizationSpec = DEFAULT_SPEC) -> ImageUInt8:
    """Stretch an image linearly between two of its percentiles to 0 to 255.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, channel)``; bool, any integer or any real float. Percentiles are taken over all channels
        together, so colours keep their balance.
    spec
        The two percentiles.

    Returns
    -------
    ImageUInt8
        Same shape, C-contiguous. Values outside the percentiles are clipped. Where both percentiles fall on one value
        (a few bright specks on an even ground) the stretch runs from the smallest to the largest value; a constant
        image becomes all zeros.

    Raises
    ------
    UnusableImageError
        The image is empty, complex, or holds NaN or infinity.

    Examples
    --------
    >>> normalize(np.array([[100, 200], [300, 400]], dtype=np.uint16))
    array([[  0,  85],
           [170, 255]], dtype=uint8)
    """
    levels = count_levels(ArrayRows(pixels), spec)
    return look_up(levels.place(pixels), stretch_of(levels.counts, spec))


def stretch_of(counts: Counts, spec: NormalizationSpec = DEFAULT_SPEC) -> ImageUInt8:
    """Find the table by which `normalize` turns counted levels into grey levels.

    Parameters
    ----------
    counts
        How often each level occurs, at least one of them.
    spec
        The two percentiles.

    Returns
    -------
    ImageUInt8
        ``(level,)``.
    """
    low, high = percentile_levels(counts, spec)
    if low >= high:
        occurring = np.flatnonzero(counts)
        low, high = int(occurring[0]), int(occurring[-1])
    return stretch_table(low, high, len(counts))


_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue of ITU-R BT.601, the ones OpenCV uses."""


def luminance(pixels: Pixels) -> Pixels:
    """Luminance ``(y, x)`` of RGB ``(y, x, 3)``; uint8, uint16 and float32 keep their type."""
    if pixels.dtype in (np.uint8, np.uint16, np.float32):
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))
    return np.asarray(pixels @ np.array(_LUMINANCE))


def apply_clahe(image: ImageUInt8, *, clip_limit: float = 3.0, grid: tuple[int, int] = (8, 8)) -> ImageUInt8:
    """Even out local contrast: contrast-limited adaptive histogram equalisation.

    K. Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV (1994) 474-485, as OpenCV has
    it. RGB is changed in the lightness of CIE L*a*b* alone, so that colours stay.

    Parameters
    ----------
    image
        ``(y, x)``, ``(y, x, 1)`` or ``(y, x, 3)`` RGB.
    clip_limit
        How many times the mean of a local histogram one of its bins may hold; above 0.
    grid
        Rows and columns of local histograms over the image.

    Raises
    ------
    OptionError
        The clip limit or the grid is not positive.
    """
    rows, columns = grid
    if not (clip_limit > 0 and rows > 0 and columns > 0):
        raise OptionError(f"CLAHE needs a positive clip limit and grid, not {clip_limit:g} and {rows} x {columns}")
    clahe = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(columns, rows))
    if image.ndim == 2 or image.shape[2] == 1:
        grey = np.ascontiguousarray(image.reshape(image.shape[:2]))
        return np.asarray(clahe.apply(grey), dtype=np.uint8).reshape(image.shape)
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    lab[..., 0] = clahe.apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)


FLAT_FIELD_SIGMA = 1 / 8
"""Width of the Gaussian as a fraction of the image's longer side: wide against cells, narrow against a vignette."""

_LIGHT_RANGE = (1e-12, 1e12)
"""Illumination is found in float32, from fourth powers of values."""

_FIELD_SIGMA = 8.0  # the field is blurred at a size where its sigma is about this many pixels; it has no finer detail
_FIELD_PASSES = 3  # of a 3:1 vignette 35 %, 17 % and 12 % of the unevenness are left after one, two and three
_FIELD_FLOOR = 0.05  # of the mean: a black corner is not amplified without end


def correct_flat_field(pixels: Pixels, *, sigma_px: float | None = None) -> Pixels:
    """Divide by the illumination, estimated with a wide Gaussian, and keep the mean level.

    One blur of a vignette is too bright in its corners, where no darker ground follows. What is left after the division
    is therefore blurred and divided out again, `_FIELD_PASSES` times in all.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, channel)``, any real type. Channels share one field (the mean of the channels), so that
        colours keep their balance.
    sigma_px
        Standard deviation of the Gaussian in pixels; `FLAT_FIELD_SIGMA` of the longer side unless given.

    Returns
    -------
    Pixels
        float32, same shape, same mean, in the units of the input.

    Raises
    ------
    OptionError
        `sigma_px` is not a positive number.
    UnusableImageError
        See `as_light`.
    """
    height, width = pixels.shape[:2]
    if sigma_px is None:
        sigma_px = max(FLAT_FIELD_SIGMA * max(height, width), 1.0)
    if not (np.isfinite(sigma_px) and sigma_px > 0):
        raise OptionError(f"the sigma of the flat field must be a positive number of pixels, not {sigma_px}")
    values, floor = as_light(pixels)
    mean = float(values.mean(dtype=np.float64))
    if mean > 0:
        grey = values if values.ndim == 2 else values.mean(axis=2)
        field = _illumination(grey, sigma_px, _FIELD_FLOOR * mean)
        values /= field if values.ndim == 2 else field[..., np.newaxis]
        values *= np.float32(mean / float(values.mean(dtype=np.float64)))
    values += floor
    return values


def as_light(pixels: Pixels) -> tuple[npt.NDArray[np.float32], float]:
    """Give the values as light, which is not negative: an image with its background subtracted is lifted to zero.

    Returns
    -------
    values
        float32, same shape.
    floor
        What is to be added for the units of the input.

    Raises
    ------
    UnusableImageError
        Values are so large or so small that illumination cannot be computed from them.
    """
    largest = max(-float(pixels.min()), float(pixels.max()))
    smallest_light, largest_light = _LIGHT_RANGE
    if largest and not smallest_light <= largest <= largest_light:
        raise UnusableImageError(
            f"flat_field takes values of {smallest_light:g} to {largest_light:g}, not of {largest:g}: scale the image"
        )
    values = pixels.astype(np.float32)
    floor = min(float(values.min()), 0.0)
    values -= floor
    return values, floor


def _illumination(grey: npt.NDArray[np.float32], sigma_px: float, floor: float) -> npt.NDArray[np.float32]:
    height, width = grey.shape
    factor = max(1.0, sigma_px / _FIELD_SIGMA)
    small_size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(grey, small_size, interpolation=cv2.INTER_AREA)
    field: npt.NDArray[np.float32] = np.ones_like(small)
    for _ in range(_FIELD_PASSES):
        left = cv2.GaussianBlur(cv2.divide(small, field), (0, 0), sigma_px / factor, borderType=cv2.BORDER_REFLECT)
        field = np.maximum(field * left, floor)
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
