"""Bytes in, one image plane out; and back to PNG and TIFF.

The only place where image files are read. Type and size are taken from the first bytes and the header, and checked,
before a pixel is decompressed. A file that ends early is refused, never half used. Colours are RGB; alpha is dropped;
the orientation in EXIF or TIFF tags is ignored, because masks must lie on the pixels as they are stored.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import (
    EmptyImageError,
    ImageTooLargeError,
    OptionError,
    UnknownFormatError,
)
from monolayer_core.image_formats import bmp, jpeg, npy, png, tiff
from monolayer_core.image_formats.axes import (
    ChosenPlane,
    PlaneChoice,
    choose_plane,
    describe_choice,
    resolve_axes,
)
from monolayer_core.image_formats.encoding import encode_label_tiff, encode_png
from monolayer_core.image_formats.foreign import name_foreign
from monolayer_core.image_formats.planes import Plane, StoredRows
from monolayer_core.image_formats.series import DescribedImage, Series, choose_series
from monolayer_core.image_formats.stored import Format, StoredImage
from monolayer_core.row_source import ArrayRows, RowSource, whole

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_OPTIONS",
    "ChosenPlane",
    "Format",
    "Image",
    "ImageHeader",
    "ImageLimits",
    "ReadOptions",
    "check_limits",
    "decode_image",
    "encode_label_tiff",
    "encode_png",
    "open_image",
    "read_header",
]


def _single(describe: Callable[[bytes], StoredImage]) -> Callable[[bytes, Series], StoredImage]:
    """Read a format whose files hold one image."""

    def read(data: bytes, series: Series) -> StoredImage:
        choose_series([DescribedImage()], series)
        return describe(data)

    return read


_READERS: tuple[tuple[bytes, Callable[[bytes, Series], StoredImage]], ...] = (
    (png.MAGIC, _single(png.describe)),
    (jpeg.MAGIC, _single(jpeg.describe)),
    (npy.MAGIC, _single(npy.describe)),
    (bmp.MAGIC, _single(bmp.describe)),
    *((magic, tiff.describe) for magic in tiff.MAGICS),
)


@dataclass(frozen=True)
class ImageLimits:
    """What is admitted, checked against the header.

    Attributes
    ----------
    max_pixels
        Rows times columns of one plane. The default admits 20,000 x 20,000 and refuses 30,000 x 30,000.
    max_bytes_per_pixel
        Together with `max_pixels` bounds the decoded plane in bytes: at the default a largest image may have three
        channels of 16 bits, a smaller one more.
    """

    max_pixels: int = 512_000_000
    max_bytes_per_pixel: int = 8


@dataclass(frozen=True)
class ReadOptions(PlaneChoice):
    """What the caller says of an image; each beats what the file says.

    Attributes
    ----------
    axes
        Letters T, C, Z, Y, X, S in the order of the array; case does not matter.
    channel, z, t
        Which plane of a stack, counted from 0. A channel may be called by the name that the file gives it; a number
        that is an index is never taken for a name. ``z="max"`` is the maximum of all z planes, pixel by pixel.
    series
        Which image of a file that holds several (OME-TIFF), counted from 0, or its name; a number that is an index is
        never taken for a name.
    pixel_size_um
        Side of a pixel in micrometres.
    """

    series: Series = None
    pixel_size_um: float | None = None


@dataclass(frozen=True)
class ImageHeader:
    """What a file says before a pixel is decompressed.

    Attributes
    ----------
    format
        ``png``, ``jpeg``, ``bmp``, ``tiff`` or ``npy``.
    shape, axes
        Of everything in the file, one letter for each axis; Q where it is not known what an axis is.
    dtype
        Of the pixels, such as ``uint16``.
    height, width
        Of one plane, in pixels.
    pixel_size_um
        Side of a pixel in micrometres, from the caller or from TIFF; None where unknown. The print resolution in PNG,
        JPEG and BMP is not asked.
    decoded_bytes
        Memory that decoding one plane takes.
    """

    format: Format
    shape: tuple[int, ...]
    axes: str
    dtype: str
    height: int
    width: int
    pixel_size_um: float | None
    decoded_bytes: int

    @property
    def decoded_dtype(self) -> np.dtype[Any]:
        """Type of the values when they are decoded, see `Image.rows`."""
        return np.dtype(np.uint8 if self.dtype == "bool" else self.dtype)


@dataclass(frozen=True)
class Image:
    """One plane, decoded or opened to be read by rows.

    Attributes
    ----------
    rows
        The plane, native byte order, of the type that was stored (bilevel and boolean images are uint8 of 0 and 255).
    format
        Of the file.
    pixel_size_um
        Side of a pixel in micrometres, None where unknown.
    pixels_are_square
        False where the file says that their sides differ, and the caller says nothing.
    axes
        As in `ImageHeader`.
    plane
        Which plane of the file this is.
    """

    rows: RowSource
    format: Format
    pixel_size_um: float | None
    pixels_are_square: bool = True
    axes: str = "YX"
    plane: ChosenPlane = field(default_factory=ChosenPlane)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return self.rows.channels

    @property
    def pixels(self) -> Pixels:
        """The whole plane: ``(y, x)`` grey or ``(y, x, 3)`` RGB, C-contiguous; decoded here where it was only opened.

        Raises
        ------
        ImageError
            As for `RowSource.read`.
        """
        return whole(self.rows)


DEFAULT_OPTIONS = ReadOptions()
DEFAULT_LIMITS = ImageLimits()


def read_header(data: bytes, options: ReadOptions = DEFAULT_OPTIONS) -> ImageHeader:
    """Read type, size and axes; no pixel is decompressed.

    Raises
    ------
    EmptyImageError, UnknownFormatError
        There are no bytes, or they begin like no format that is read.
    TruncatedImageError, UnusableImageError
        The header is damaged, or announces what cannot be used.
    AmbiguousAxesError
        It is not known which axes are rows and columns, or the file holds several images and none was chosen.
    OptionError
        `options` are out of range or do not fit the image.
    """
    stored = _describe(data, options)
    return _header(stored, resolve_axes(stored.shape, stored.axes, options), options)


def check_limits(header: ImageHeader, limits: ImageLimits = DEFAULT_LIMITS) -> None:
    """Refuse what is too large.

    Raises
    ------
    ImageTooLargeError
        The plane has more pixels, or takes more memory, than `limits` admit.
    """
    pixels = header.height * header.width
    if pixels > limits.max_pixels:
        raise ImageTooLargeError(
            f"the image has {header.height} x {header.width} = {pixels} pixels, {limits.max_pixels} are admitted"
        )
    admitted_bytes = limits.max_pixels * limits.max_bytes_per_pixel
    if header.decoded_bytes > admitted_bytes:
        raise ImageTooLargeError(
            f"the image takes {header.decoded_bytes} bytes when decoded, {admitted_bytes} are admitted"
        )


def decode_image(data: bytes, options: ReadOptions = DEFAULT_OPTIONS, limits: ImageLimits = DEFAULT_LIMITS) -> Image:
    """Decode one plane of an image file.

    Parameters
    ----------
    data
        A whole PNG, JPEG, BMP, TIFF, BigTIFF, OME-TIFF or npy file.
    options
        Axes, plane and pixel size where the file does not say, or says it wrong.
    limits
        Checked before decompression.

    Raises
    ------
    ImageTooLargeError
        The header announces more than `limits` admit.
    AmbiguousAxesError
        There are several images or planes and none was chosen; the message names the option.
    TruncatedImageError
        The data ends early or is damaged.
    UnusableImageError
        It holds no pixels, NaN, infinity, complex numbers, or colours or a compression that are not read.
    EmptyImageError, UnknownFormatError, OptionError
        As for `read_header`.
    """
    return open_image(data, options, limits, at_once_px=limits.max_pixels)


def open_image(
    data: bytes,
    options: ReadOptions = DEFAULT_OPTIONS,
    limits: ImageLimits = DEFAULT_LIMITS,
    *,
    at_once_px: int = 0,
    still_wanted: Callable[[], object] = lambda: None,
) -> Image:
    """Open one plane of an image file to be read by rows.

    What can be read by strips or tiles (TIFF) is decompressed where it is looked at, and again when it is looked at
    again; pixels that lie in the file as they are are not copied. Other formats are decoded here, whole.

    Parameters
    ----------
    data, options, limits
        As for `decode_image`; `data` is kept as long as the result is.
    at_once_px
        Planes of up to so many pixels are decoded here, whatever the format.
    still_wanted
        Called between the planes of a maximum, here and wherever rows are read; what it raises ends the reading.

    Raises
    ------
    ImageError, OptionError
        As for `decode_image`. Damage within a strip or tile, and NaN or infinity, are found when its rows are read.
    """
    stored, header, plane, chosen = _choose(data, options, limits)
    # Where the caller says that the file's rows are columns, a row of the image is spread over all of the file.
    is_by_rows = all(header.axes.index(letter) == stored.axes.find(letter) for letter in "YX")
    rows: RowSource
    if stored.open_rows is None or not is_by_rows or header.height * header.width <= at_once_px:
        rows = ArrayRows(plane.finish(plane.combine(stored.decode, still_wanted)))
    else:
        rows = StoredRows(header.height, header.width, plane, plane.open(stored.open_rows, still_wanted))
    is_square = stored.pixels_are_square or options.pixel_size_um is not None
    return Image(rows, stored.format, header.pixel_size_um, is_square, header.axes, chosen)


def _choose(
    data: bytes, options: ReadOptions, limits: ImageLimits
) -> tuple[StoredImage, ImageHeader, Plane, ChosenPlane]:
    """Describe a file, check its size and find the plane that is meant."""
    stored = _describe(data, options)
    axes = resolve_axes(stored.shape, stored.axes, options)
    header = _header(stored, axes, options)
    check_limits(header, limits)
    # What the file says of its axes counts no more where the caller says that they are others.
    same = {letter for letter in stored.axes if axes.find(letter) == stored.axes.find(letter)}
    names = stored.channel_names if "C" in same else ()
    only = {letter: index for letter, index in stored.only.items() if letter in same}
    positions = choose_plane(stored.shape, axes, options, names, only)
    outer, inner = positions[: stored.planes], positions[stored.planes :]
    if None in outer:
        raise OptionError(f"axes={axes}: the first {stored.planes} axes count pages, which hold rows and columns whole")
    letters = "".join(letter for letter, position in zip(axes, positions, strict=True) if position is None)
    indices = tuple(
        range(position, position + 1) if isinstance(position, int) else range(length)
        for position, length in zip(outer, stored.shape[: stored.planes], strict=True)
    )
    chosen = describe_choice(axes, positions, names)
    chosen = replace(chosen, series=stored.series, series_name=stored.series_name)
    return stored, header, Plane(indices, inner, letters), chosen


def _describe(data: bytes, options: ReadOptions) -> StoredImage:
    size = options.pixel_size_um
    if size is not None and not (isfinite(size) and size > 0):
        raise OptionError(f"pixel_size_um must be a positive number of micrometres, not {size}")
    if not data:
        raise EmptyImageError("the image is empty: no bytes were given")
    for magic, describe in _READERS:
        if data.startswith(magic):
            return describe(data, options.series)
    if (name := name_foreign(data)) is not None:
        raise UnknownFormatError(f"{name} is not read: save it as OME-TIFF, TIFF or PNG")
    raise UnknownFormatError("the data is no PNG, JPEG, BMP, TIFF or npy file")


def _header(stored: StoredImage, axes: str, options: ReadOptions) -> ImageHeader:
    lengths = dict(zip(axes, stored.shape, strict=True))
    return ImageHeader(
        stored.format,
        stored.shape,
        axes,
        stored.dtype.newbyteorder("=").name,
        lengths["Y"],
        lengths["X"],
        options.pixel_size_um if options.pixel_size_um is not None else stored.pixel_size_um,
        stored.decoded_bytes or lengths["Y"] * lengths["X"] * lengths.get("S", 1) * stored.dtype.itemsize,
    )
