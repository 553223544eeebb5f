"""JPEG 2000 as it lies in strips and tiles of TIFF: the header is read here, the pixels are left to OpenJPEG.

ITU-T T.800, annex A (codestream) and annex I (boxes). A codestream announces its own size, and OpenJPEG allocates what
it announces; so that is read first. It may stand alone or in boxes, and the boxes may hold a palette, which would make
more of the components than the codestream says.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from monolayer_core.errors import TruncatedImageError, UnusableImageError

_MAX_TILES = 1 << 12  # within one strip or tile of TIFF; OpenJPEG takes kilobytes for each
_MAX_BOXES = 1 << 8
_START_AND_SIZE = b"\xff\x4f\xff\x51"
_SIGNATURE = b"\x00\x00\x00\x0cjP  "


class Codestream(NamedTuple):
    """What the size segment (SIZ) announces."""

    height: int
    width: int
    components: int


def read_codestream(data: bytes) -> Codestream:
    """Read the size.

    Raises
    ------
    TruncatedImageError
        There is no whole size segment, or what it says cannot be.
    UnusableImageError
        There is a palette, or there are more tiles than any encoder of strips and tiles makes.
    """
    start = _find_codestream(data) if data.startswith(_SIGNATURE) else 0
    if not data.startswith(_START_AND_SIZE, start) or len(data) < start + 42:
        raise TruncatedImageError("the JPEG 2000 data is damaged: it does not begin with its size")
    right, bottom, left, top, *tile = struct.unpack_from(">8I", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    tile_width, tile_height, tile_left, tile_top = tile
    if not (left < right and top < bottom and tile_width and tile_height and tile_left <= left and tile_top <= top):
        raise TruncatedImageError("the JPEG 2000 data is damaged: it announces a size that cannot be")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > _MAX_TILES:
        raise UnusableImageError(f"JPEG 2000 data of {tiles} tiles within a strip or tile of TIFF is not read")
    return Codestream(bottom - top, right - left, components)


def _find_codestream(data: bytes) -> int:
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"jp2h" and any(inner == b"pclr" for inner, _, _ in _boxes(data, start, end)):
            raise UnusableImageError("JPEG 2000 data with a palette is not read")
        if kind == b"jp2c":
            return start
    raise TruncatedImageError("the JPEG 2000 data is damaged: it holds no codestream")


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        (length,), kind, head = struct.unpack_from(">I", data, start), data[start + 4 : start + 8], 8
        if length == 1 and start + 16 <= end:
            (length,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if length == 0 else start + length
        if stop > end or stop < start + head:
            raise TruncatedImageError("the JPEG 2000 data ends early or is damaged: a box is cut")
        yield kind, start + head, stop
        start = stop
    raise TruncatedImageError(f"the JPEG 2000 data is damaged: it has more than {_MAX_BOXES} boxes")
