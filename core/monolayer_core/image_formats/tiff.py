"""TIFF, BigTIFF and OME-TIFF through tifffile and imagecodecs: one page is described, checked, decoded.

How pages form a chain is the matter of `tiff_chain`, how they form a stack that of `tiff_stack`, which compressions and
colours are read that of `tiff_codecs`. What is checked here: that every strip or tile lies whole within the file
(tifffile fills missing ones with zeros).
"""

import io
from math import prod

import numpy as np
import numpy.typing as npt
import tifffile

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.ome import parse_pixels
from monolayer_core.image_formats.series import DescribedImage, Series, choose_series
from monolayer_core.image_formats.stored import RowReader, StoredImage, damage_refused
from monolayer_core.image_formats.tiff_chain import LAYOUTS, follow_pages
from monolayer_core.image_formats.tiff_codecs import (
    MIN_IS_WHITE,
    PALETTE,
    RGB,
    SEPARATE,
    YCBCR,
    check_kind,
    check_streams,
)
from monolayer_core.image_formats.tiff_pixel_size import pixel_size
from monolayer_core.image_formats.tiff_rows import decode_rows, rows_together, view_plain
from monolayer_core.image_formats.tiff_stack import PagePlace, check_page, read_stack

MAGICS = tuple(LAYOUTS)

_ALPHA = {1, 2}  # ExtraSamples: associated and unassociated


def describe(data: bytes, series: Series = None) -> StoredImage:
    """Read the tags of the image's first page and how the pages form a stack.

    Bilevel pixels become 0 and 255; where the lowest value is white, unsigned integers are inverted; a palette becomes
    RGB of 8 bits, but in a file of ImageJ, which uses it to tint intensities, the intensities count. Three samples are
    colours only where the file says RGB; otherwise they are channels. Pages of another size or type than the first
    (thumbnails, pyramid levels) are left out. The orientation tag is ignored.

    Parameters
    ----------
    data
        The file.
    series
        Which image of an OME-TIFF that holds several.

    Raises
    ------
    TruncatedImageError
        The tags are damaged.
    UnusableImageError
        Colours or compression are of a kind that is not read.
    ImageTooLargeError
        There are more pages, tags or values than `tiff_chain` admits.
    AmbiguousAxesError, OptionError
        See `series.choose_series`.
    """
    with damage_refused("TIFF"):
        kinds = follow_pages(data, LAYOUTS[data[:4]])
        file = tifffile.TiffFile(io.BytesIO(data))
        first = file.pages.first
        description = first.description
        ome = parse_pixels(description, series) if first.is_ome else None
        if ome is None:
            choose_series([DescribedImage()], series)
        page = first if ome is None else _page(file.pages, check_page(ome.first_page, len(kinds)))
        palette_is_colour = page.photometric == PALETTE and not first.is_imagej
        page_shape, page_axes = _page_axes(page, palette_is_colour)
        dtype = _decoded_type(page, palette_is_colour)
        stack = read_stack(page, kinds, page_shape, page_axes, ome)
        size = pixel_size(page, description, ome)
        needed = prod(page_shape) * dtype.itemsize + prod(page.chunks) * dtype.itemsize
    check_kind(page)

    def decode(index: tuple[int, ...]) -> Pixels:
        place = stack.locate(index)
        with damage_refused("TIFF"):
            pixels = _read_plane(data, file.pages, place, page)
            return _colours(pixels, page, palette_is_colour).reshape(page_shape)

    def open_rows(index: tuple[int, ...]) -> RowReader:
        place = stack.locate(index)
        with damage_refused("TIFF"):
            here = _page_at(data, file.pages, place, page)
            plain = view_plain(data, here, place.planes_before)
        y = page_axes.index("Y")

        def read(rows: slice) -> Pixels:
            with damage_refused("TIFF"):
                pixels = decode_rows(data, here, rows) if plain is None else plain[:, :, rows]
                shape = (*page_shape[:y], rows.stop - rows.start, *page_shape[y + 1 :])
                return _colours(pixels, page, palette_is_colour).reshape(shape)

        return RowReader(read, rows_together(here) if plain is None else 1)

    shape, axes = (*stack.lengths, *page_shape), stack.axes + stack.page_axes
    names = ome.channel_names if ome is not None else ()
    return StoredImage(
        "tiff",
        shape,
        axes,
        dtype,
        decode,
        planes=len(stack.lengths),
        decoded_bytes=needed,
        pixel_size_um=size.um,
        pixels_are_square=size.is_square,
        open_rows=open_rows,
        channel_names=names if "C" in axes and shape[axes.index("C")] == len(names) else (),
        only=stack.only,
        series=None if ome is None else ome.series,
        series_name=None if ome is None else ome.series_name,
    )


def _page_axes(page: tifffile.TiffPage, palette_is_colour: bool) -> tuple[tuple[int, ...], str]:
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if palette_is_colour:
        return (height, width, 3), "YXS"
    if samples == 1:
        return (height, width), "YX"
    colours = page.photometric in (RGB, YCBCR) or (samples == 2 and set(page.extrasamples) & _ALPHA)
    letter = "S" if colours else "C"
    if page.planarconfig == SEPARATE:
        return (samples, height, width), letter + "YX"
    return (height, width, samples), "YX" + letter


def _decoded_type(page: tifffile.TiffPage, palette_is_colour: bool) -> np.dtype[np.generic]:
    if page.dtype is None:
        raise UnusableImageError(f"TIFF pixels of {page.bitspersample} bits in this sample format are not read")
    if palette_is_colour or page.dtype == np.bool_:
        return np.dtype(np.uint8)
    return np.dtype(page.dtype)


def _page(pages: tifffile.TiffPages, number: int) -> tifffile.TiffPage:
    page = pages[number]
    if not isinstance(page, tifffile.TiffPage):
        raise TruncatedImageError("the TIFF data is damaged: a page lacks its own description")
    return page


def _page_at(data: bytes, pages: tifffile.TiffPages, place: PagePlace, first: tifffile.TiffPage) -> tifffile.TiffPage:
    """Give the page of a plane, checked to be like the image's first one and to lie whole within the file."""
    page = _page(pages, place.page)
    if page.hash != first.hash:
        raise TruncatedImageError("the TIFF data is damaged: the pages of a stack differ in size or type")
    _check_segments(data, page, place)
    return page


def _read_plane(data: bytes, pages: tifffile.TiffPages, place: PagePlace, first: tifffile.TiffPage) -> Pixels:
    page = _page_at(data, pages, place, first)
    plain = view_plain(data, page, place.planes_before)
    if plain is not None:
        return plain
    check_streams(data, page)
    pixels: Pixels = page.asarray(squeeze=False, maxworkers=1)
    return pixels


def _check_segments(data: bytes, page: tifffile.TiffPage, place: PagePlace) -> None:
    """Refuse a page whose strips or tiles are missing or leave the file."""
    expected = 1 if page.is_contiguous else prod(page.chunked)
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(places) < expected:
        raise TruncatedImageError(f"the TIFF data ends early: {len(places)} of {expected} strips or tiles are there")
    for offset, length in places[:expected]:
        if not 0 < offset < len(data) or length <= 0 or offset + length > len(data):
            raise TruncatedImageError("the TIFF data ends early: a strip or tile is missing or lies beyond the end")
    if page.is_contiguous:
        end = page.dataoffsets[0] + (place.planes_before + 1) * page.nbytes
        if end > len(data):
            raise TruncatedImageError(f"the TIFF data ends early: the plane ends at byte {end} of {len(data)}")


def _colours(pixels: Pixels, page: tifffile.TiffPage, palette_is_colour: bool) -> Pixels:
    """Bring a page as stored, (separate samples, 1, y, x, samples), to grey or RGB values."""
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(1 if palette_is_colour else 255)
    if page.photometric == MIN_IS_WHITE and pixels.dtype.kind == "u":
        bits = 8 if page.bitspersample == 1 else page.bitspersample
        pixels = ((1 << bits) - 1) - pixels
    if palette_is_colour:
        pixels = _palette(page)[pixels[..., 0]]
    return pixels


def _palette(page: tifffile.TiffPage) -> npt.NDArray[np.uint8]:
    if page.colormap is None:
        raise TruncatedImageError("the TIFF data is damaged: its palette is missing")
    table = page.colormap.T  # (index, colour); 16 bits by the specification, 8 in some files
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)
