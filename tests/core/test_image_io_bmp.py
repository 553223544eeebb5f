"""BMP files built by hand, because no encoder writes the odd ones."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_core.errors import ImageTooLargeError, TruncatedImageError, UnusableImageError
from monolayer_core.image_io import decode_image, read_header

GREYS = b"".join(bytes([level] * 3 + [0]) for level in range(256))
INVERTED = b"".join(bytes([255 - level] * 3 + [0]) for level in range(256))
COLOURS = b"".join(bytes([level, 255 - level, 7, 0]) for level in range(256))  # blue, green, red
DATA = np.random.default_rng(0).integers(0, 256, (4, 8)).astype(np.uint8)


def bmp(width, height, bits, data, palette=b"", *, compression=0, masks=b"", header_size=40):
    offset = 14 + header_size + len(masks) + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII", header_size, width, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0
    )
    info += bytes(header_size - 40)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + masks + palette + data


def test_a_palette_of_greys_is_grey_and_runs_from_bottom_to_top():
    np.testing.assert_array_equal(decode_image(bmp(8, 4, 8, DATA.tobytes(), GREYS)).pixels, DATA[::-1])


def test_rows_run_from_top_to_bottom_where_the_height_is_negative():
    np.testing.assert_array_equal(decode_image(bmp(8, -4, 8, DATA.tobytes(), GREYS)).pixels, DATA)


def test_an_inverted_palette_of_greys_is_looked_up():
    np.testing.assert_array_equal(decode_image(bmp(8, -4, 8, DATA.tobytes(), INVERTED)).pixels, 255 - DATA)


def test_a_palette_of_colours_is_rgb():
    expected = np.stack([np.full_like(DATA, 7), 255 - DATA, DATA], axis=2)
    np.testing.assert_array_equal(decode_image(bmp(8, -4, 8, DATA.tobytes(), COLOURS)).pixels, expected)


def test_one_bit_is_black_and_white():
    data = bmp(32, -1, 1, bytes([0b10110000, 0, 0, 1]), bytes([0, 0, 0, 0, 255, 255, 255, 0]))
    assert decode_image(data).pixels[0, [0, 1, 2, 3, 4, 31]].tolist() == [255, 0, 255, 255, 0, 255]


@pytest.mark.parametrize("compression", [0, 3])
def test_the_fourth_byte_of_a_pixel_is_dropped(compression):
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF) if compression else b""
    data = bmp(2, -4, 32, DATA.tobytes(), compression=compression, masks=masks)
    np.testing.assert_array_equal(decode_image(data).pixels, DATA.reshape(4, 2, 4)[..., 2::-1])


def test_run_lengths_are_read_and_a_cut_among_them_is_refused():
    runs = bytes([8, 5, 0, 0, 4, 1, 4, 2, 0, 0, 0, 4, 1, 2, 3, 4, 4, 9, 0, 0, 8, 7, 0, 1])
    expected = [[7] * 8, [1, 2, 3, 4, 9, 9, 9, 9], [1] * 4 + [2] * 4, [5] * 8]
    assert decode_image(bmp(8, 4, 8, runs, GREYS, compression=1)).pixels.tolist() == expected
    with pytest.raises(TruncatedImageError):
        decode_image(bmp(8, 4, 8, runs[:-9], GREYS, compression=1))


@pytest.mark.parametrize("header_size", [40, 108, 124])
def test_every_version_of_the_header_is_read(header_size):
    data = bmp(8, -4, 8, DATA.tobytes(), GREYS, header_size=header_size)
    np.testing.assert_array_equal(decode_image(data).pixels, DATA)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 4, 8, 16, 24, 32]), st.data())
def test_one_byte_less_than_the_pixels_need_is_refused(width, height, bits, data):
    size = (width * bits + 31) // 32 * 4 * height
    palette = GREYS[: 4 << bits] if bits <= 8 else b""
    whole = bmp(width, height, bits, bytes(size), palette)
    assert decode_image(whole).pixels.shape[:2] == (height, width)
    cut = data.draw(st.integers(1, size))
    with pytest.raises(TruncatedImageError, match="ends early"):
        decode_image(whole[:-cut])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"BM" + struct.pack("<IHHIIHHHH", 50, 0, 0, 26, 12, 2, 2, 1, 24) + bytes(40), UnusableImageError),
        (bmp(8, 4, 8, bytes(32), GREYS, compression=4), UnusableImageError),
        (bmp(8, 4, 8, bytes(32), GREYS, compression=99), UnusableImageError),
        (bmp(0, 4, 8, bytes(32), GREYS), UnusableImageError),
        (bmp(8, 0, 8, bytes(32), GREYS), UnusableImageError),
        (bmp(-8, 4, 8, bytes(32), GREYS), TruncatedImageError),
        (bmp(8, 4, 7, bytes(32), GREYS), TruncatedImageError),
        (bmp(8, 4, 8, bytes(32), GREYS)[:50], TruncatedImageError),
        (bmp(30_000, 30_000, 24, b""), ImageTooLargeError),
        (bmp(2**31 - 1, -(2**31), 1, b""), ImageTooLargeError),
    ],
    ids=["OS/2", "JPEG inside", "unknown", "no width", "no height", "negative width", "7 bits", "cut", "huge", "vast"],
)
def test_what_is_not_read_is_refused(data, error):
    with pytest.raises(error):
        decode_image(data)


def test_the_header_tells_grey_from_colour_without_the_pixels():
    assert read_header(bmp(8, 4, 8, b"", GREYS)).axes == "YX"
    assert read_header(bmp(8, 4, 8, b"", COLOURS)).axes == "YXS"
    assert read_header(bmp(8, 4, 24, b"")).shape == (4, 8, 3)
