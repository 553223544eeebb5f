"""PNG: the chunks are walked here, the pixels are left to libpng.

Decoders differ in what they forgive. Here every chunk must be whole, with the right checksum, up to the closing IEND;
and only the chunks that make pixels are handed on, so that neither a colour profile nor the frames of an animation nor
a compressed comment can change or inflate what is decoded.
"""

import struct
import zlib
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import imagecodecs
import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError
from monolayer_core.image_formats.stored import StoredImage, damage_refused

MAGIC = b"\x89PNG\r\n\x1a\n"

# colour type: (samples a pixel has when decoded, bit depths it may have)
_KINDS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (3, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
_PALETTE = 3
_MAX_CHUNKS = 1 << 20  # 8 GiB in the pieces that libpng writes; a file of empty chunks would be walked for minutes


def describe(data: bytes) -> StoredImage:
    """Read the size and kind of pixels from the IHDR chunk.

    Grey of 1, 2 or 4 bits is spread over 0 to 255; a palette is RGB; transparency of single colours (tRNS) is ignored.

    Raises
    ------
    TruncatedImageError
        The chunk is missing, damaged or holds what no PNG may hold.
    """
    first = next(_chunks(data))
    if first.name != b"IHDR" or len(first.content) != 13:
        raise TruncatedImageError("the PNG data is damaged: it does not begin with its header")
    width, height, depth, kind, compression, filtering, interlacing = struct.unpack(">IIBBBBB", first.content)
    samples, depths = _KINDS.get(kind, (0, ()))
    if depth not in depths or compression or filtering or interlacing > 1:
        raise TruncatedImageError("the PNG data is damaged: its header announces a kind of pixel that does not exist")
    shape = (height, width) if samples == 1 else (height, width, samples)
    dtype = np.dtype(np.uint16 if depth == 16 else np.uint8)

    def decode(_: tuple[int, ...]) -> Pixels:
        core = _pixel_chunks(data, palette=kind == _PALETTE)
        with damage_refused("PNG"):
            pixels: Pixels = imagecodecs.png_decode(core)
            return pixels.reshape(shape)

    return StoredImage("png", shape, "YXS"[: len(shape)], dtype, decode, decoded_bytes=prod(shape) * dtype.itemsize)


class _Chunk(NamedTuple):
    name: bytes
    content: memoryview
    whole: memoryview


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield each chunk up to IEND, its length and checksum verified."""
    view, position = memoryview(data), len(MAGIC)
    for _ in range(_MAX_CHUNKS):
        length = int.from_bytes(view[position : position + 4], "big")
        whole = view[position : position + 12 + length]
        if len(whole) < 12 + length:
            raise TruncatedImageError("the PNG data ends early")
        name, content = bytes(whole[4:8]), whole[8:-4]
        if zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:], "big"):
            raise TruncatedImageError(f"the PNG data is damaged: the checksum of its chunk {name!r} is wrong")
        yield _Chunk(name, content, whole)
        if name == b"IEND":
            return
        position += len(whole)
    raise TruncatedImageError(f"the PNG data is damaged: it has more than {_MAX_CHUNKS} chunks")


def _pixel_chunks(data: bytes, *, palette: bool) -> bytes:
    """Give the PNG without its ancillary chunks, whose names begin with a small letter."""
    needed = [chunk for chunk in _chunks(data) if chunk.name[:1].isupper()]
    names = [chunk.name for chunk in needed]
    if names.count(b"IHDR") != 1 or b"IDAT" not in names or (palette and b"PLTE" not in names):
        raise TruncatedImageError("the PNG data is damaged: a part that every such image has is missing or repeated")
    return b"".join([MAGIC, *(chunk.whole for chunk in needed)])
