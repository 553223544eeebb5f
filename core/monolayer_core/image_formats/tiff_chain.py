"""The chain of pages of a TIFF file, followed before tifffile does.

tifffile would follow a chain that bites its tail, read tags of any length, calculate with texts as with numbers, and
take a sixth of a millisecond for each page only to tell which of them are alike. What arrives is not trusted: here
every page is looked at for less than that, and no page that tifffile is then asked for can make it read more than
`MAX_PAGE_VALUES` and `MAX_PAGE_BYTES`.
"""

import struct
from typing import NamedTuple, TypeAlias

import tifffile

from monolayer_core.errors import ImageTooLargeError, TruncatedImageError

LAYOUTS = {
    b"II*\x00": tifffile.TIFF.CLASSIC_LE,
    b"MM\x00*": tifffile.TIFF.CLASSIC_BE,
    b"II+\x00": tifffile.TIFF.BIG_LE,
    b"MM\x00+": tifffile.TIFF.BIG_BE,
}

MAX_PAGES = 1 << 16
MAX_TAG_VALUES = 1 << 21  # tiles of 16 x 16 in an image of 20,000 x 20,000; each value becomes an object of 40 bytes
MAX_PAGE_VALUES = MAX_TAG_VALUES * 5 // 2  # two such lists, where tiles lie and how long they are, and small ones
MAX_PAGE_BYTES = 1 << 26  # of texts and data that are read with the page; OME-XML has at most half of it
MAX_TAGS = 1 << 21  # of all pages together: 32 for each of `MAX_PAGES`
_MAX_PAGE_TAGS = 1 << 12

# ImageWidth, ImageLength, Compression, Photometric, FillOrder, SamplesPerPixel, RowsPerStrip, PlanarConfiguration,
# Predictor, TileWidth, TileLength, ImageDepth, TileDepth
_NUMBERS = {256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323, 32997, 32998}
# BitsPerSample, StripOffsets, StripByteCounts, TileOffsets, TileByteCounts, ExtraSamples, SampleFormat
_NUMBER_LISTS = {258, 273, 279, 324, 325, 338, 339}
_UNSIGNED_TYPES = {3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}  # letter of struct and bytes
_BYTE_TYPES = {1, 2, 6, 7}  # kept as they are: text and data of unknown meaning

# What decides on size and type of a page's pixels, with the values that count where a tag is missing.
_KIND_DEFAULTS = {256: 0, 257: 0, 258: 1, 259: 1, 277: 1, 284: 1, 339: 1, 32997: 1}
_MAX_KIND_VALUES = 16  # of BitsPerSample and SampleFormat, one for each sample

PageKind: TypeAlias = tuple[tuple[int, ...], ...]
"""Width, height, bits, compression, samples, planes, number format and depth: equal where pages are alike."""


class _Page(NamedTuple):
    kind: PageKind
    tags: int
    next_offset: int


def follow_pages(data: bytes, layout: tifffile.TiffFormat) -> list[PageKind]:
    """Follow the chain to its end, and say of each page what kind it is.

    Raises
    ------
    TruncatedImageError
        The chain has no end, or a tag is not the number it must be.
    ImageTooLargeError
        There are more than `MAX_PAGES` pages, or more tags or values than are admitted.
    struct.error
        The chain leaves the file.
    """
    offset = int(struct.unpack_from(layout.offsetformat, data, 8 if layout.is_bigtiff else 4)[0])
    seen: set[int] = set()
    kinds: list[PageKind] = []
    tags = 0
    while offset:
        if offset in seen:
            raise TruncatedImageError("the TIFF data is damaged: its chain of pages has no end")
        if len(seen) == MAX_PAGES:
            raise ImageTooLargeError(f"the TIFF file has more than {MAX_PAGES} pages")
        seen.add(offset)
        page = _look_at(data, layout, offset)
        tags += page.tags
        if tags > MAX_TAGS:
            raise ImageTooLargeError(f"the pages of the TIFF file have more than {MAX_TAGS} tags")
        kinds.append(page.kind)
        offset = page.next_offset
    return kinds


def _look_at(data: bytes, layout: tifffile.TiffFormat, offset: int) -> _Page:
    tags = int(struct.unpack_from(layout.tagnoformat, data, offset)[0])
    if tags > _MAX_PAGE_TAGS:
        raise TruncatedImageError(f"the TIFF data is damaged: a page has {tags} tags")
    end = offset + layout.tagnosize + tags * layout.tagsize
    kind: dict[int, tuple[int, ...]] = {}
    read_values = read_bytes = 0
    for place in range(offset + layout.tagnosize, end, layout.tagsize):
        code, number_type, values = struct.unpack_from(f"{layout.byteorder}HH{layout.offsetformat[1:]}", data, place)
        if number_type not in _BYTE_TYPES and values > MAX_TAG_VALUES:
            raise ImageTooLargeError(f"a TIFF tag has {values} values, {MAX_TAG_VALUES} are admitted")
        is_number, is_list = code in _NUMBERS, code in _NUMBER_LISTS
        if (is_number or is_list) and (number_type not in _UNSIGNED_TYPES or (is_number and values != 1)):
            raise TruncatedImageError(f"the TIFF data is damaged: its tag {code} is not the number it must be")
        if code in tifffile.TIFF.TAG_LOAD:
            # A page may hold a tag many times over, and all of them may point to the same bytes.
            read_bytes += values if number_type in _BYTE_TYPES else 0
            read_values += 0 if number_type in _BYTE_TYPES else values
        if code in _KIND_DEFAULTS and code not in kind:
            kind[code] = _numbers(data, layout, place, number_type, values)
    if read_values > MAX_PAGE_VALUES or read_bytes > MAX_PAGE_BYTES:
        raise ImageTooLargeError(
            f"the tags of a TIFF page hold {read_values} values and {read_bytes} bytes, "
            f"{MAX_PAGE_VALUES} and {MAX_PAGE_BYTES} are admitted"
        )
    next_offset = int(struct.unpack_from(layout.offsetformat, data, end)[0])
    return _Page(tuple(kind.get(code, (default,)) for code, default in _KIND_DEFAULTS.items()), tags, next_offset)


def _numbers(data: bytes, layout: tifffile.TiffFormat, place: int, number_type: int, values: int) -> tuple[int, ...]:
    """Read the first values of a tag; equal ones, such as the bits of each sample, count as one."""
    letter, size = _UNSIGNED_TYPES[number_type]
    at = place + layout.tagsize - layout.offsetsize
    if values * size > layout.offsetsize:
        at = int(struct.unpack_from(layout.offsetformat, data, at)[0])
    numbers: tuple[int, ...] = struct.unpack_from(
        f"{layout.byteorder}{min(values, _MAX_KIND_VALUES)}{letter}", data, at
    )
    return numbers[:1] if len(set(numbers)) == 1 else numbers
