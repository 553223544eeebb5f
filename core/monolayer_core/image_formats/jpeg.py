"""JPEG: the markers are walked here, the pixels are left to libjpeg.

libjpeg paints what is missing of a truncated image grey and only warns. So the stream must run on to its end marker,
and what it announces is checked, before it is decoded. The EXIF segment is never read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import imagecodecs
import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.stored import StoredImage, damage_refused

MAGIC = b"\xff\xd8\xff"

_END, _SCAN = 0xD9, 0xDA
_NO_CONTENT = {0x01, *range(0xD0, 0xD8)}  # TEM and restart markers
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the three are tables
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_MAX_SEGMENTS = 1 << 16  # a file of segments of four bytes would be walked for minutes
_MAX_SCANS = 100  # each refines the whole image again: a small file of many would be decoded for minutes
# A marker is any number of 0xFF and a byte that says which. Within a scan 0xFF is followed by 0 (an escaped byte) or by
# a restart marker; anything else ends the scan.
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True)
class Frame:
    """What the frame header (SOF) of a JPEG stream announces."""

    marker: int
    precision: int
    height: int
    width: int
    samples: int


def describe(data: bytes) -> StoredImage:
    """Read the size from the frame header.

    Raises
    ------
    TruncatedImageError
        There is no whole frame header.
    UnusableImageError
        The image is CMYK, which has no defined colours without a profile, or of a kind other than 8-bit Huffman coding.
    """
    frame = read_frame(data)
    if frame.samples not in (1, 3):
        raise UnusableImageError(
            f"a JPEG of {frame.samples} colour components (CMYK) is not read: save it as RGB or grey"
        )
    if frame.marker not in _HUFFMAN_FRAMES or frame.precision != 8:
        raise UnusableImageError(
            f"this kind of JPEG (SOF{frame.marker - 0xC0}, {frame.precision} bits) is not read: save it as PNG or TIFF"
        )
    shape = (frame.height, frame.width) if frame.samples == 1 else (frame.height, frame.width, frame.samples)

    def decode(_: tuple[int, ...]) -> Pixels:
        check_complete(data)
        with damage_refused("JPEG"):
            pixels: Pixels = imagecodecs.jpeg8_decode(data)
            return pixels.reshape(shape)

    return StoredImage("jpeg", shape, "YXS"[: len(shape)], np.dtype(np.uint8), decode, decoded_bytes=prod(shape))


def read_frame(data: bytes) -> Frame:
    """Read the frame header of a stream, which may lie inside another file.

    Raises
    ------
    TruncatedImageError
        There is none, or it is cut.
    """
    for marker, content in _segments(data):
        if marker in _FRAMES and len(content) >= 6:
            height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
            return Frame(marker, content[0], height, width, content[5])
        if marker in (_SCAN, _END):
            break
    raise TruncatedImageError("the JPEG data is damaged: it has no frame header")


def check_complete(data: bytes) -> None:
    """Follow a stream to its end marker.

    Raises
    ------
    TruncatedImageError
        It ends early, has no scan or more than one frame.
    UnusableImageError
        It has more scans than any encoder writes.
    """
    markers = [marker for marker, _ in _segments(data)]
    if _SCAN not in markers or sum(marker in _FRAMES for marker in markers) != 1:
        raise TruncatedImageError("the JPEG data is damaged: it needs one frame and a scan")
    if (scans := markers.count(_SCAN)) > _MAX_SCANS:
        raise UnusableImageError(f"a JPEG of {scans} scans is not read, {_MAX_SCANS} at most: save it as PNG")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment up to the end marker; scans are stepped over."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.match(data, position)
        if found is None:
            raise TruncatedImageError("the JPEG data ends early or is damaged: a marker is missing")
        marker, position = found[1][0], found.end()
        content = b""
        if marker != _END and marker not in _NO_CONTENT:
            length = int.from_bytes(data[position : position + 2], "big")
            content = data[position + 2 : position + length]
            position += length
            if length < 2 or position > len(data):
                raise TruncatedImageError("the JPEG data ends early or is damaged: a segment is cut")
        yield marker, content
        if marker == _END:
            return
        if marker == _SCAN:
            end = _SCAN_END.search(data, position)
            if end is None:
                raise TruncatedImageError("the JPEG data ends early, inside a scan")
            position = end.start()
    raise TruncatedImageError(f"the JPEG data is damaged: it has more than {_MAX_SEGMENTS} segments")
