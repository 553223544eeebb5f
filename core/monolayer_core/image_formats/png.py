"""PNG: the chunks are walked here, the pixels are left to libpng.

Decoders differ in what they forgive. Here every chunk must be whole, with the right checksum, up to the closing IEND;
and only the chunks that make pixels are handed on, so that neither a colour profile nor the frames of an animation nor
a compressed comment can change or inflate what is decoded.
"""

import struct
import zlib
from collections.abc import Iterator
from math import prod

import imagecodecs
import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError
from monolayer_core.image_formats.stored import StoredImage, damage_refused

MAGIC = b"\x89PNG\r\n\x1a\n"

# colour type: (samples a pixel has when decoded, bit depths it may have)
_KINDS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (3, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
_PALETTE = 3


def describe(data: bytes) -> StoredImage:
    """Read the size and kind of pixels from the IHDR chunk.

    Grey of 1, 2 or 4 bits is spread over 0 to 255; a palette is RGB; transparency of single colours (tRNS) is ignored.

    Raises
    ------
    TruncatedImageError
        The chunk is missing, damaged or holds what no PNG may hold.
    """
    name, content = next(_chunks(data))
    if name != b"IHDR" or len(content) != 13:
        raise TruncatedImageError("the PNG data is damaged: it does not begin with its header")
    width, height, depth, kind, compression, filtering, _ = struct.unpack(">IIBBBBB", content)
    samples, depths = _KINDS.get(kind, (0, ()))
    if depth not in depths or compression or filtering:
        raise TruncatedImageError("the PNG data is damaged: its header announces a kind of pixel that does not exist")
    shape = (height, width) if samples == 1 else (height, width, samples)
    dtype = np.dtype(np.uint16 if depth == 16 else np.uint8)

    def decode(_: tuple[int, ...]) -> Pixels:
        core = _pixel_chunks(data, palette=kind == _PALETTE)
        with damage_refused("PNG"):
            pixels: Pixels = imagecodecs.png_decode(core)
            return pixels.reshape(shape)

    return StoredImage("png", shape, "YXS"[: len(shape)], dtype, decode, decoded_bytes=prod(shape) * dtype.itemsize)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of each chunk up to IEND, its length and checksum verified."""
    view, position, name = memoryview(data), len(MAGIC), b""
    while name != b"IEND":
        head = view[position : position + 8]
        length = int.from_bytes(head[:4], "big")
        name = bytes(head[4:])
        content = view[position + 8 : position + 8 + length]
        checksum = view[position + 8 + length : position + 12 + length]
        if len(checksum) < 4:
            raise TruncatedImageError("the PNG data ends early")
        if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(checksum, "big"):
            raise TruncatedImageError(f"the PNG data is damaged: the checksum of its chunk {name!r} is wrong")
        yield name, content
        position += 12 + length


def _pixel_chunks(data: bytes, *, palette: bool) -> bytes:
    """Give the PNG without its ancillary chunks, whose names begin with a small letter."""
    parts: list[bytes | memoryview] = [MAGIC]
    names: list[bytes] = []
    for name, content in _chunks(data):
        if name[:1].isupper():
            checksum = zlib.crc32(content, zlib.crc32(name))
            parts += (len(content).to_bytes(4, "big"), name, content, checksum.to_bytes(4, "big"))
            names.append(name)
    if names.count(b"IHDR") != 1 or b"IDAT" not in names or (palette and b"PLTE" not in names):
        raise TruncatedImageError("the PNG data is damaged: a part that every such image has is missing or repeated")
    return b"".join(parts)
