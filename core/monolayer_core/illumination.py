"""Evening out the illumination of an image that is about to be clustered.

A wide Gaussian over the whole image takes a crowd of bright cells for light and dims it. Clustering knows better: where
each pixel belongs says how bright it should be, and what the image shows beyond that is illumination. So the two are
found in turns, each from the other: pixel values are taken as illumination times the centre of their cluster, and for
given clusters the smooth illumination that fits best is the ratio of two wide Gaussians (C. Li et al., "A level set
method for image segmentation in the presence of intensity inhomogeneities with application to MRI", IEEE Transactions
on Image Processing 20/7, 2011, equation 19). The turns begin with the plain flat field.
"""

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import Pixels
from monolayer_core.normalization import FLAT_FIELD_SIGMA, as_light, correct_flat_field
from monolayer_core.partition import partition_line

TURNS = 16
"""After 16 turns a vignette of 3:1 is gone from dark and from bright fields; after 8 it is not from stained tissue."""

_SIDE_PX = 128  # the illumination has no finer detail: it is found on a picture of this side
_BINS = 256
_FLOOR = 0.05  # of the mean: a black corner is not amplified without end

Float32Array = npt.NDArray[np.float32]


def correct_illumination(pixels: Pixels) -> Pixels:
    """Divide by the illumination, found together with two clusters of brightness, and keep the mean level.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, channel)``, any real type, finite. Channels share one illumination.

    Returns
    -------
    Pixels
        float32, same shape, same mean, in the units of the input.

    Raises
    ------
    UnusableImageError
        See `as_light`.
    """
    values, floor = as_light(pixels)
    mean = float(values.mean(dtype=np.float64))
    if mean > 0 and float(values.max()) > float(values.min()):
        height, width = values.shape[:2]
        field = cv2.resize(_illumination(_small_grey(values)), (width, height), interpolation=cv2.INTER_LINEAR)
        values /= field if values.ndim == 2 else field[..., np.newaxis]
        values *= np.float32(mean / float(values.mean(dtype=np.float64)))
    values += floor
    return values


def _small_grey(values: Float32Array) -> Float32Array:
    height, width = values.shape[:2]
    shrink = min(1.0, _SIDE_PX / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return small if small.ndim == 2 else small.mean(axis=2, dtype=np.float32)


def _illumination(small: Float32Array) -> Float32Array:
    """Illumination of a small grey picture, about 1 on average."""
    sigma = max(FLAT_FIELD_SIGMA * max(small.shape), 1.0)
    small = np.maximum(small, 1e-6 * small.mean())
    field = small / np.maximum(correct_flat_field(small), 1e-6 * small.mean())
    for _ in range(TURNS):
        even = small / field
        expected = _two_levels(even)
        field *= _wide_blur(even * expected, sigma) / _wide_blur(expected * expected, sigma)
        field = np.maximum(field / field.mean(), _FLOOR)
    return np.asarray(field, dtype=np.float32)


def _wide_blur(values: Float32Array, sigma: float) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def _two_levels(values: Float32Array) -> Float32Array:
    """Every value replaced by the mean of its cluster, of two."""
    low = float(values.min())
    step = (float(values.max()) - low) / (_BINS - 1)
    if step <= 0:
        return values
    bins = np.rint((values - low) / step).astype(np.int64)
    counts = np.bincount(bins.reshape(-1), minlength=_BINS)
    occurring = np.flatnonzero(counts)
    bright = bins >= occurring[partition_line(occurring.astype(np.float64), counts[occurring], 2).starts[1][1]]
    expected: Float32Array = np.where(bright, values[bright].mean(), values[~bright].mean()).astype(np.float32)
    return expected
