"""The plane of a stored image that is meant: cut out of what is decoded, whole or by rows."""

from typing import Any, NamedTuple

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import AmbiguousAxesError, UnusableImageError
from monolayer_core.image_formats.stored import RowReader


class Plane(NamedTuple):
    """Which of the stored pixels are the image.

    Attributes
    ----------
    outer
        Index along each axis that counts planes.
    inner
        Index along the axes of a plane, None for those that stay.
    letters
        Of the axes that stay.
    """

    outer: tuple[int, ...]
    inner: tuple[int | None, ...]
    letters: str

    def finish(self, stored: Pixels) -> Pixels:
        """Make of stored pixels, or of some rows of them, what an `Image` holds."""
        plane = stored[tuple(slice(None) if position is None else position for position in self.inner)]
        return _finish(_grey_or_rgb(plane, self.letters))


class StoredRows:
    """Rows of a plane as they are decoded.

    What was read last is kept, since neighbours ask for the same rows; and it is whole strips or tiles, so that whoever
    goes through the image from top to bottom has each decompressed once, or twice where it lies in two bands.
    """

    def __init__(self, height: int, width: int, plane: Plane, reader: RowReader) -> None:
        self.height = height
        self.width = width
        self._plane = plane
        self._reader = reader
        self._kept = slice(0, 0)
        self._pixels: Pixels | None = None
        first = self.read(slice(0, 1))
        self.channels = 1 if first.ndim == 2 else int(first.shape[2])
        self.dtype: np.dtype[Any] = first.dtype

    def read(self, rows: slice) -> Pixels:
        """See `RowSource.read`."""
        if self._pixels is None or not (self._kept.start <= rows.start and rows.stop <= self._kept.stop):
            together = self._reader.rows_together
            end = min(-(-rows.stop // together) * together, self.height)
            self._pixels = None  # not both at once
            self._kept = slice(rows.start // together * together, end)
            self._pixels = self._plane.finish(self._reader.read(self._kept))
        return self._pixels[rows.start - self._kept.start : rows.stop - self._kept.start]


def _grey_or_rgb(plane: Pixels, letters: str) -> Pixels:
    """Bring a plane whose axes are Y, X and perhaps S into the order (y, x) or (y, x, 3)."""
    plane = plane.transpose([letters.index(letter) for letter in "YXS" if letter in letters])
    if plane.ndim == 2:
        return plane
    samples = plane.shape[2]
    if samples > 4:
        raise AmbiguousAxesError(f"{samples} samples are no colour: name them channels with axes=YXC and choose one")
    return plane[..., 0] if samples < 3 else plane[..., :3]  # grey, grey and alpha, RGB, RGB and alpha


def _finish(plane: Pixels) -> Pixels:
    if plane.dtype == np.bool_:
        return np.ascontiguousarray(plane).view(np.uint8) * np.uint8(255)
    pixels: Pixels = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("="))
    # NaN and infinity show in the extremes, which takes no memory of the size of the image.
    if pixels.dtype.kind == "f" and not (np.isfinite(pixels.min()) and np.isfinite(pixels.max())):
        raise UnusableImageError("the image holds NaN or infinite values")
    return pixels
