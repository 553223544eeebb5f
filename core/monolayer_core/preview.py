"""A small picture of an image of any type and size, for people to look at.

Stretched as the networks see it, between two percentiles of the whole image, and shrunk by a whole factor: the pixel
``(y, x)`` of the image lies in the pixel ``(y // factor, x // factor)`` of the preview, so that what was found in the
image can be drawn over the preview without rounding. The image is gone through by rows, and nothing of its size is
kept.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8
from monolayer_core.errors import OptionError
from monolayer_core.levels import count_levels, look_up
from monolayer_core.normalization import stretch_of
from monolayer_core.row_source import BAND_PX, RowSource

DEFAULT_MAX_SIDE_PX = 2048
"""As much as a screen shows."""


@dataclass(frozen=True)
class Preview:
    """A picture of an image.

    Attributes
    ----------
    pixels
        uint8, ``(y, x)`` or ``(y, x, 3)`` RGB.
    factor
        Rows and columns of the image that one pixel of the preview stands for; fewer at the lower and the right edge.
    """

    pixels: ImageUInt8
    factor: int


def make_preview(source: RowSource, max_side_px: int = DEFAULT_MAX_SIDE_PX) -> Preview:
    """Stretch an image as `normalization.normalize` does and shrink it by averaging.

    Parameters
    ----------
    source
        Grey or RGB, of any real type.
    max_side_px
        Most rows and most columns of the preview; the factor is the smallest that keeps to it.

    Raises
    ------
    OptionError
        `max_side_px` is below 1.
    UnusableImageError
        The image is empty, complex, or holds NaN or infinity.
    TruncatedImageError
        A part of its data is damaged.

    Examples
    --------
    >>> from monolayer_core.row_source import ArrayRows
    >>> make_preview(ArrayRows(np.array([[0, 100, 200], [100, 200, 400]], np.uint16)), max_side_px=2)
    Preview(pixels=array([[ 64, 192]], dtype=uint8), factor=2)
    """
    if max_side_px < 1:
        raise OptionError(f"a preview has sides of at least 1 pixel, not {max_side_px}")
    levels = count_levels(source)
    table = stretch_of(levels.counts)
    factor = max(-(-max(source.height, source.width) // max_side_px), 1)
    rows_together = max(BAND_PX // max(source.width, 1) // factor, 1) * factor
    bands = [
        _average(look_up(levels.place(source.read(slice(top, min(top + rows_together, source.height)))), table), factor)
        for top in range(0, source.height, rows_together)
    ]
    return Preview(np.concatenate(bands), factor)


def _average(image: ImageUInt8, factor: int) -> ImageUInt8:
    """Mean of each block of `factor` rows and columns, halves rounded up; the last ones may be smaller."""
    if factor == 1:
        return image
    sums: npt.NDArray[np.int64] = image.astype(np.int64)
    areas: npt.NDArray[np.int64] = np.ones((1, 1), np.int64)
    for axis in (0, 1):
        starts = np.arange(0, image.shape[axis], factor)
        sums = np.add.reduceat(sums, starts, axis=axis)
        lengths = np.diff(starts, append=image.shape[axis])
        areas = areas * (lengths[:, np.newaxis] if axis == 0 else lengths)
    if image.ndim == 3:
        areas = areas[..., np.newaxis]
    return ((2 * sums + areas) // (2 * areas)).astype(np.uint8)
