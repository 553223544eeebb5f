"""An image plane that is read by rows, so that it need not be in memory as a whole.

What is computed of an image's pixels is computed of its rows: for an image in memory, which is `ArrayRows`, by the same
code in the same bands as for one that is decompressed where it is looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from monolayer_core.arrays import Pixels

BAND_PX = 1 << 20
"""Pixels that are looked at together where an image is gone through from top to bottom."""


class RowSource(Protocol):
    """One plane of an image, grey or RGB, of any real type."""

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def width(self) -> int:
        """Pixels of a row."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, in native byte order."""
        ...

    def read(self, rows: slice) -> Pixels:
        """Give the rows from ``rows.start`` to ``rows.stop``: ``(y, x)`` or ``(y, x, 3)``, not to be written to.

        Raises
        ------
        TruncatedImageError
            The data of these rows is damaged.
        """
        ...


@dataclass(frozen=True)
class ArrayRows:
    """A plane in memory: ``(y, x)`` or ``(y, x, 3)``."""

    pixels: Pixels

    @property
    def height(self) -> int:
        """See `RowSource`."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """See `RowSource`."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """See `RowSource`."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[2])

    @property
    def dtype(self) -> np.dtype[Any]:
        """See `RowSource`."""
        return self.pixels.dtype

    def read(self, rows: slice) -> Pixels:
        """See `RowSource.read`; the rows are a view."""
        return self.pixels[rows]


def whole(source: RowSource) -> Pixels:
    """Give all rows of an image at once."""
    return source.read(slice(0, source.height))


def bands(height: int, width: int) -> Iterator[slice]:
    """Cut an image into bands of whole rows, each of about `BAND_PX` pixels."""
    rows = max(1, BAND_PX // max(width, 1))
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))
