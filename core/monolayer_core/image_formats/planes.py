"""The plane of a stored image that is meant: cut out of what is decoded, whole or by rows.

Of a stack it may be the maximum of several planes. They are decoded one after another into one that is kept, so this
takes time with their number, not memory.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import AmbiguousAxesError, UnusableImageError
from monolayer_core.image_formats.axes import MAXIMUM, Position, count_colours
from monolayer_core.image_formats.stored import RowReader


class Plane(NamedTuple):
    """Which of the stored pixels are the image.

    Attributes
    ----------
    outer
        Indices along each axis that counts planes: one, or all where their maximum is meant.
    inner
        Positions along the axes of a plane.
    letters
        Of the axes that stay.
    """

    outer: tuple[range, ...]
    inner: tuple[Position, ...]
    letters: str

    def stored_planes(self) -> Iterator[tuple[int, ...]]:
        """Give the index of each plane that is needed."""
        return product(*self.outer)

    def combine(self, read: Callable[[tuple[int, ...]], Pixels], still_wanted: Callable[[], object]) -> Pixels:
        """Read the planes one after another: one as it comes, of several the maximum, in memory of its own."""
        indices = self.stored_planes()
        first = read(next(indices))
        highest: Pixels | None = None
        for index in indices:
            still_wanted()
            if highest is None:
                highest = np.array(first, dtype=first.dtype.newbyteorder("="))
                del first
            np.maximum(highest, read(index), out=highest)
        return first if highest is None else highest

    def open(self, open_rows: Callable[[tuple[int, ...]], RowReader], still_wanted: Callable[[], object]) -> RowReader:
        """Open the planes to be read by rows.

        Where there are several, each is opened here, so that what is missing shows before a row is read, and again
        whenever it is read: what is known of the strips of a thousand planes is not kept.
        """
        rows_together = 0
        for index in self.stored_planes():
            still_wanted()
            reader = open_rows(index)
            rows_together = max(rows_together, reader.rows_together)
        if all(len(indices) == 1 for indices in self.outer):
            return reader
        return RowReader(
            lambda rows: self.combine(lambda index: open_rows(index).read(rows), still_wanted), rows_together
        )

    def finish(self, stored: Pixels) -> Pixels:
        """Make of stored pixels, or of some rows of them, what an `Image` holds."""
        plane = stored[tuple(position if isinstance(position, int) else slice(None) for position in self.inner)]
        kept = [position for position in self.inner if not isinstance(position, int)]
        if MAXIMUM in kept:
            plane = plane.max(axis=kept.index(MAXIMUM))
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
    colours = count_colours(samples)
    return plane[..., 0] if colours == 1 else plane[..., :colours]


def _finish(plane: Pixels) -> Pixels:
    if plane.dtype == np.bool_:
        return np.ascontiguousarray(plane).view(np.uint8) * np.uint8(255)
    pixels: Pixels = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("="))
    # NaN and infinity show in the extremes, which takes no memory of the size of the image.
    if pixels.dtype.kind == "f" and not (np.isfinite(pixels.min()) and np.isfinite(pixels.max())):
        raise UnusableImageError("the image holds NaN or infinite values")
    return pixels
