"""What a network sees of an image read by rows: the result of `pipeline.prepare`, made where it is looked at."""

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, Pixels, Region
from monolayer_core.errors import UnusableImageError
from monolayer_core.levels import count_each, look_up
from monolayer_core.model_card import ModelCard
from monolayer_core.normalization import luminance, stretch_of
from monolayer_core.row_source import RowSource, bands

COUNTED_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16))
"""Types whose values are counted one by one, so that counts of parts add up."""


class WindowInput:
    """A prepared image, uint8 ``(y, x, channel)``, of which nothing is kept but the table of its stretch.

    The image is gone through once when this is made, to count its levels.

    Parameters
    ----------
    source : RowSource
        Grey or RGB of one of `COUNTED_TYPES`.
    card : ModelCard
        Channels and percentiles.

    Raises
    ------
    UnusableImageError
        The image is empty, neither grey nor RGB, or of another type.
    """

    def __init__(self, source: RowSource, card: ModelCard) -> None:
        if source.dtype not in COUNTED_TYPES or source.channels not in (1, 3):
            raise UnusableImageError(
                f"pixels of type {source.dtype} in {source.channels} channels are not read in windows"
            )
        if not source.height or not source.width:
            raise UnusableImageError("the image has no pixels")
        self._source = source
        self._channels = 1 if card.channels == "grey" else 3
        counts = np.zeros(1 << (8 * source.dtype.itemsize), dtype=np.int64)
        for rows in bands(source.height, source.width):
            counts += count_each(self._seen(source.read(rows)))
        self._table = stretch_of(counts, card.normalization)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""
        return self._source.height, self._source.width, self._channels

    def __getitem__(self, region: Region, /) -> ImageUInt8:
        """Prepare a part of the image, uint8 ``(y, x, channel)``."""
        rows, columns = region
        levels = look_up(self._seen(self._source.read(rows)[:, columns]), self._table)
        if levels.ndim == 2:
            levels = np.repeat(levels[..., np.newaxis], self._channels, axis=2)
        return levels

    def _seen(self, pixels: Pixels) -> npt.NDArray[np.unsignedinteger]:
        """Give the values that are stretched, contiguous."""
        if pixels.ndim == 3 and self._channels == 1:
            pixels = luminance(pixels)
        return np.ascontiguousarray(pixels)
