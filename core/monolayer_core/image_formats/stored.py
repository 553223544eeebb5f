"""What a file says of itself before a pixel is decompressed, in the same words for every format."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import ImageTooLargeError, MonolayerError, TruncatedImageError, UnusableImageError

Format: TypeAlias = Literal["png", "jpeg", "bmp", "tiff", "npy"]

_MAX_AXES = 16
_MAX_LENGTH = 1 << 63

UNKNOWN_AXIS = "Q"
"""Stands in `StoredImage.axes` for an axis of which the file does not say what it is (tifffile's letter)."""


class RowReader(NamedTuple):
    """Reads rows of a plane.

    Attributes
    ----------
    read
        Takes rows and gives their pixels.
    rows_together
        How many rows are decompressed together, counted from the first; 1 where they are not compressed.
    """

    read: Callable[[slice], Pixels]
    rows_together: int


@dataclass(frozen=True)
class StoredImage:
    """An image as it lies in its file.

    Attributes
    ----------
    format
        Which format it is.
    shape, axes
        Length and letter of every axis in the order of storage: T, C, Z, Y, X, S (colour samples of a pixel, with
        alpha) or `UNKNOWN_AXIS`.
    dtype
        Of the pixels, byte order included.
    decode
        Takes an index for each of the first `planes` axes and gives the pixels of the others, in the order of `axes`.
    planes
        How many leading axes count planes that are stored, and decoded, one by one.
    decoded_bytes
        Memory that one call of `decode` needs for its result.
    pixel_size_um
        Side of a pixel in micrometres, None where the file does not say.
    pixels_are_square
        False where the file says that their sides differ.
    open_rows
        Takes what `decode` takes and gives a reader of rows, whose pixels are those of `decode` but for the length of
        the axis Y. None where the whole plane must be decoded at once.
    channel_names
        One for each index along C; empty where the file gives none.
    only
        Index along axes of which the file holds one alone, being one of a set.
    series, series_name
        Which image this is of several that the file describes, and what it is called; None where it describes one.
    """

    format: Format
    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype[np.generic]
    decode: Callable[[tuple[int, ...]], Pixels]
    planes: int = 0
    decoded_bytes: int = 0
    pixel_size_um: float | None = None
    pixels_are_square: bool = True
    open_rows: Callable[[tuple[int, ...]], RowReader] | None = None
    channel_names: tuple[str, ...] = ()
    only: Mapping[str, int] = field(default_factory=dict)
    series: int | None = None
    series_name: str | None = None

    def __post_init__(self) -> None:
        if self.dtype.kind not in "buif":
            raise UnusableImageError(f"pixels of type {self.dtype} cannot be used; integers or real numbers are needed")
        # Before a shape stands in a message: a header of some kilobytes can hold numbers of thousands of digits.
        if len(self.shape) > _MAX_AXES:
            raise UnusableImageError(f"the image has {len(self.shape)} axes, {_MAX_AXES} at most are read")
        if any(length > _MAX_LENGTH for length in self.shape):
            raise ImageTooLargeError("the image is announced to have more pixels than any file can hold")
        if prod(self.shape) == 0 or not self.shape:
            raise UnusableImageError(f"the image has no pixels: its shape is {self.shape}")


@contextmanager
def damage_refused(kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises over damaged data into `TruncatedImageError`.

    Only calls into decoders of other people belong inside: over hostile bytes they raise nearly every class there is.
    What they say stays out of the message, which callers read: it names their modules, files and addresses in memory,
    and repeats what the file holds.
    """
    try:
        yield
    except (MonolayerError, MemoryError):
        raise
    except Exception as error:
        raise TruncatedImageError(f"the {kind} data ends early or is damaged") from error
