"""JPEG: the markers are walked here, the pixels are left to libjpeg.

libjpeg paints what is missing of a truncated image grey and only warns. So the stream must run on to its end marker,
and what it announces is checked, before it is decoded. The EXIF segment is never read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import imagecodecs
import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.stored import StoredImage, damage_refused

MAGIC = b"\xff\xd8\xff"

_END, _SCAN = 0xD9, 0xDA
_NO_CONTENT = {0x01, *range(0xD0, 0xD8)}  # TEM and restart markers
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the three are tables
_PROGRESSIVE = 0xC2
_HUFFMAN_FRAMES = {0xC0, 0xC1, _PROGRESSIVE}  # baseline, extended, progressive
_MAX_SEGMENTS = 1 << 16  # a file of segments of four bytes would be walked for minutes
_BLOCK_PX = 8
_BITS_PER_BLOCK = {
    0xC0: 2,
    0xC1: 2,
    0xC2: 1,
}  # a code for the mean and one for the rest; progressive runs skip the rest
# Each scan goes through the whole image again: a small file of many would be decoded for minutes. Encoders write about
# ten; more are read where the image is so small that all together go through no more than so many pixels.
_MAX_SCANS, _USUAL_SCANS, _SCANNED_PX = 100, 16, 1 << 31
_COEFFICIENT_BYTES = 2  # of each sample, kept until the last scan of a progressive image
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


class _Segment(NamedTuple):
    """A marker and what follows it: its own content, and of a scan the number of bytes of coded pixels."""

    marker: int
    content: bytes
    scan_bytes: int


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

    sample_bytes = 1 + (_COEFFICIENT_BYTES if frame.marker == _PROGRESSIVE else 0)
    decoded_bytes = prod(shape) * sample_bytes
    return StoredImage("jpeg", shape, "YXS"[: len(shape)], np.dtype(np.uint8), decode, decoded_bytes=decoded_bytes)


def read_frame(data: bytes) -> Frame:
    """Read the frame header of a stream, which may lie inside another file.

    Raises
    ------
    TruncatedImageError
        There is none, or it is cut.
    """
    for marker, content, _ in _segments(data):
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
        It ends early, has no scan or more than one frame, or too little data for the size that its frame announces.
    UnusableImageError
        It has more scans than any encoder writes.
    """
    segments = list(_segments(data))
    markers = [segment.marker for segment in segments]
    if _SCAN not in markers or sum(marker in _FRAMES for marker in markers) != 1:
        raise TruncatedImageError("the JPEG data is damaged: it needs one frame and a scan")
    frame = read_frame(data)
    admitted = min(_MAX_SCANS, max(_USUAL_SCANS, _SCANNED_PX // max(1, frame.height * frame.width)))
    if (scans := markers.count(_SCAN)) > admitted:
        raise UnusableImageError(f"a JPEG of {scans} scans is not read, {admitted} at most: save it as PNG")
    # libjpeg paints what is missing before the end marker too: a file of a few bytes would be an image of any size.
    blocks = -(-frame.height // _BLOCK_PX) * -(-frame.width // _BLOCK_PX)
    needed = blocks * _BITS_PER_BLOCK.get(frame.marker, 0) // 8
    if sum(segment.scan_bytes for segment in segments) < needed:
        raise TruncatedImageError(
            f"the JPEG data ends early: {frame.height} x {frame.width} pixels need {needed} bytes"
        )


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield each segment up to the end marker; the data of scans is stepped over."""
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
        if marker != _SCAN:
            yield _Segment(marker, content, 0)
        if marker == _END:
            return
        if marker == _SCAN:
            end = _SCAN_END.search(data, position)
            if end is None:
                raise TruncatedImageError("the JPEG data ends early, inside a scan")
            yield _Segment(marker, content, end.start() - position)
            position = end.start()
    raise TruncatedImageError(f"the JPEG data is damaged: it has more than {_MAX_SEGMENTS} segments")
