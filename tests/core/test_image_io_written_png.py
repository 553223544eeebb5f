"""PNG is written band by band, as every reader expects it."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core import row_source
from monolayer_core.image_io import encode_png
from monolayer_core.row_source import ArrayRows


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and data of each chunk, their checksums checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        data = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + data),)
        found.append((kind, data))
        at += length + 12
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([(), (3,)])),
    dtype=st.sampled_from([np.uint8, np.uint16, ">u2"]),
    band_rows=st.integers(1, 8),
)
def test_other_readers_see_the_pixels_whatever_the_bands(*, seed, shape, dtype, band_rows):
    height, width, channels = shape
    levels = np.iinfo(dtype).max + 1
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, *channels)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_source, "BAND_PX", band_rows * width)
        png = encode_png(ArrayRows(pixels))
    read = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read[..., ::-1] if channels else read, pixels)
    assert encode_png(pixels) == png or band_rows < height


def test_chunks_come_in_order_with_their_checksums():
    png = encode_png(np.array([[1, 2, 3], [11, 2, 0]], dtype=np.uint8))
    (header_kind, header), (data_kind, *_), *more, (end_kind, end) = chunks(png)
    assert (header_kind, data_kind, end_kind, end) == (b"IHDR", b"IDAT", b"IEND", b"")
    assert struct.unpack(">IIBBBBB", header) == (3, 2, 8, 0, 0, 0, 0)
    assert {kind for kind, _ in more} <= {b"IDAT"}
    data = b"".join(data for kind, data in chunks(png) if kind == b"IDAT")
    assert list(zlib.decompress(data)) == [2, 1, 2, 3, 2, 10, 0, 253]
