"""BMP (Windows bitmap): the header is checked here, the pixels are left to OpenCV."""

import struct
from math import prod

import cv2
import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.stored import StoredImage, damage_refused

MAGIC = b"BM"

_FILE_HEADER = 14
_INFO_HEADER = 40  # BITMAPINFOHEADER; later versions are longer and begin alike
_UNCOMPRESSED = {0, 3}  # plain and bit fields; run lengths have no size that is known beforehand
_RUN_LENGTHS = {1, 2}
_BITS = {1, 4, 8, 16, 24, 32}


def describe(data: bytes) -> StoredImage:
    """Read the size, and from the palette whether the image is grey.

    A palette of greys makes a grey image, any other palette RGB; the fourth byte of 32-bit pixels is dropped.

    Raises
    ------
    TruncatedImageError
        The header is cut or damaged.
    UnusableImageError
        The header is that of OS/2, or the pixels are in a compression foreign to BMP.
    """
    if len(data) < _FILE_HEADER + _INFO_HEADER:
        raise TruncatedImageError("the BMP data ends inside its header")
    start, header_size, width, height, bits, compression = _fields(data)
    if header_size < _INFO_HEADER:
        raise UnusableImageError("a BMP with the header of OS/2 is not read: save it as PNG or TIFF")
    if compression not in _UNCOMPRESSED | _RUN_LENGTHS:
        raise UnusableImageError("a BMP that wraps a compressed image is not read: save it as PNG or TIFF")
    if bits not in _BITS or width < 0:
        raise TruncatedImageError("the BMP data is damaged: its header announces what does not exist")
    height = abs(height)  # negative where rows run from top to bottom
    grey = bits <= 8 and _is_grey(_palette(data, header_size, bits))
    shape = (height, width) if grey else (height, width, 3)

    def decode(_: tuple[int, ...]) -> Pixels:
        end = start + (width * bits + 31) // 32 * 4 * height  # rows are padded to four bytes
        if compression in _UNCOMPRESSED and end > len(data):
            raise TruncatedImageError(f"the BMP data ends early: its pixels end at byte {end} of {len(data)}")
        with damage_refused("BMP"):
            pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
            if pixels is None:
                raise TruncatedImageError("the BMP data ends early or is damaged")
            if pixels.ndim == 2:
                return np.asarray(pixels).reshape(shape)
            colours = cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
            return np.asarray(cv2.cvtColor(pixels, colours)).reshape(shape)

    return StoredImage("bmp", shape, "YXS"[: len(shape)], np.dtype(np.uint8), decode, decoded_bytes=prod(shape))


def _fields(data: bytes) -> tuple[int, int, int, int, int, int]:
    start, header_size = struct.unpack_from("<II", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    return start, header_size, width, height, bits, compression


def _palette(data: bytes, header_size: int, bits: int) -> bytes:
    (colours,) = struct.unpack_from("<I", data, 46)
    begin = _FILE_HEADER + header_size
    return data[begin : begin + 4 * min(colours or 1 << bits, 1 << bits)]


def _is_grey(palette: bytes) -> bool:
    return palette[0::4] == palette[1::4] == palette[2::4]
