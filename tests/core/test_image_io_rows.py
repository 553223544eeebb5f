"""Rows read from a file are those of the image decoded as a whole."""

import io

import numpy as np
import pytest
import tifffile

from monolayer_core.errors import AmbiguousAxesError, ImageTooLargeError, TruncatedImageError, UnusableImageError
from monolayer_core.image_formats import tiff as tiff_module
from monolayer_core.image_io import ImageLimits, ReadOptions, decode_image, encode_png, open_image
from monolayer_core.row_source import ArrayRows, whole

GREY = np.random.default_rng(0).integers(0, 250, (70, 53), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 250, (70, 53, 3), dtype=np.uint8)


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


FILES = {
    "one strip": (tiff(GREY), {}),
    "strips": (tiff(GREY, rowsperstrip=8), {}),
    "uint16, big-endian": (tiff(GREY.astype(">u2") * 100, byteorder=">", rowsperstrip=7), {}),
    "float": (tiff(GREY.astype(np.float32), rowsperstrip=7, compression="zlib", predictor=3), {}),
    "deflated strips": (tiff(GREY, rowsperstrip=8, compression="zlib"), {}),
    "LZW with predictor": (tiff(GREY, rowsperstrip=9, compression="lzw", predictor=2), {}),
    "tiles": (tiff(GREY, tile=(16, 32)), {}),
    "zstd tiles": (tiff(RGB, tile=(32, 16), compression="zstd", photometric="rgb"), {}),
    "separate samples": (tiff(RGB.transpose(2, 0, 1), planarconfig="separate", photometric="rgb", rowsperstrip=8), {}),
    "separate, deflated": (
        tiff(RGB.transpose(2, 0, 1), planarconfig="separate", photometric="rgb", rowsperstrip=8, compression="zlib"),
        {},
    ),
    "JPEG tiles": (tiff(RGB, tile=(32, 32), compression="jpeg", photometric="rgb"), {}),
    "white is zero": (tiff(GREY, photometric="miniswhite", rowsperstrip=8), {}),
    "bilevel": (tiff(GREY > 99, rowsperstrip=8), {}),
    "palette": (
        tiff(GREY, photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256) * 85, tile=(16, 16)),
        {},
    ),
    "one channel of several": (
        tiff(np.stack([GREY, GREY + 3, GREY + 5]), photometric="minisblack", metadata={"axes": "CYX"}),
        {"channel": 1},
    ),
    "one channel of samples": (
        tiff(RGB, planarconfig="contig", photometric="minisblack", compression="zlib", metadata={"axes": "YXS"}),
        {"channel": 2},
    ),
    "rows and columns exchanged": (tiff(GREY, rowsperstrip=8, compression="zlib"), {"axes": "XY"}),
    "big": (tiff(GREY, bigtiff=True, rowsperstrip=8, compression="zlib"), {}),
}


@pytest.mark.parametrize("name", FILES)
def test_any_rows_are_those_of_the_whole(name):
    data, choice = FILES[name]
    options = ReadOptions(**choice)
    expected = decode_image(data, options)
    source = open_image(data, options).rows
    assert (source.height, source.width, source.channels) == (*expected.pixels.shape[:2], expected.channels)
    assert source.dtype == expected.pixels.dtype
    for start, stop in (
        (0, source.height),
        (0, 1),
        (7, 9),
        (8, 16),
        (15, 34),
        (15, 34),
        (source.height - 3, source.height),
    ):
        rows = source.read(slice(start, stop))
        assert rows.dtype == expected.pixels.dtype
        np.testing.assert_array_equal(rows, expected.pixels[start:stop])


def test_what_lies_in_the_file_as_it_is_is_not_copied():
    data = tiff(GREY, rowsperstrip=8)
    assert np.shares_memory(open_image(data).rows.read(slice(3, 9)), np.frombuffer(data, np.uint8))
    assert np.shares_memory(decode_image(data).pixels, np.frombuffer(data, np.uint8))


def test_other_formats_are_decoded_whole():
    source = open_image(encode_png(GREY)).rows
    assert isinstance(source, ArrayRows)
    np.testing.assert_array_equal(source.read(slice(3, 9)), GREY[3:9])


@pytest.mark.parametrize("data", [tiff(GREY, rowsperstrip=8), tiff(GREY, rowsperstrip=8, compression="zlib")])
def test_a_file_that_ends_early_is_refused_before_a_row_is_read(data):
    with pytest.raises(TruncatedImageError, match="ends early"):
        open_image(data[:-40] if data.endswith(data[-40:]) and len(data) < 5000 else data[: len(data) // 2])


def test_a_damaged_strip_is_refused_when_it_is_read():
    data = bytearray(tiff(GREY, rowsperstrip=8, compression="zlib"))
    page = tifffile.TiffFile(io.BytesIO(bytes(data))).pages[0]
    offset, length = page.dataoffsets[5], page.databytecounts[5]
    data[offset : offset + length] = bytes(length)
    source = open_image(bytes(data)).rows
    np.testing.assert_array_equal(source.read(slice(0, 40)), GREY[:40])
    with pytest.raises(TruncatedImageError, match="damaged"):
        source.read(slice(39, 41))
    with pytest.raises(TruncatedImageError, match="damaged"):
        decode_image(bytes(data))


def test_limits_planes_and_values_are_checked_as_for_the_whole_image():
    with pytest.raises(ImageTooLargeError):
        open_image(tiff(GREY), limits=ImageLimits(max_pixels=1000))
    with pytest.raises(AmbiguousAxesError):
        open_image(tiff(np.stack([GREY, GREY]), metadata={"axes": "ZYX"}))
    bad = GREY.astype(np.float32)
    bad[60, 3] = np.nan
    source = open_image(tiff(bad, rowsperstrip=8)).rows
    source.read(slice(0, 60))
    with pytest.raises(UnusableImageError, match="NaN"):
        source.read(slice(60, 61))


@pytest.mark.parametrize(
    ("options", "down"), [({"rowsperstrip": 8}, 9), ({"tile": (16, 32)}, 5)], ids=["strips", "tiles"]
)
def test_who_goes_from_top_to_bottom_decompresses_no_strip_or_tile_more_than_twice(options, down, monkeypatch):
    decoded = []
    decode_rows = tiff_module.decode_rows
    monkeypatch.setattr(
        tiff_module, "decode_rows", lambda data, page, rows: decoded.append(rows) or decode_rows(data, page, rows)
    )
    data = tiff(GREY, compression="zlib", **options)
    source = open_image(data).rows
    for top in range(0, 70, 3):
        np.testing.assert_array_equal(source.read(slice(top, min(top + 3, 70))), GREY[top : top + 3])
    height = 8 if "rowsperstrip" in options else 16
    assert all(rows.start % height == 0 for rows in decoded)
    assert sum(-(-(rows.stop - rows.start) // height) for rows in decoded) <= 2 * down


def test_rows_of_what_was_read_last_are_not_read_again(monkeypatch):
    source = open_image(tiff(GREY, rowsperstrip=8, compression="zlib")).rows
    whole_image = whole(source)
    monkeypatch.setattr(tiff_module, "decode_rows", None)
    assert np.shares_memory(source.read(slice(20, 31)), whole_image)
    np.testing.assert_array_equal(source.read(slice(20, 31)), GREY[20:31])


def test_small_planes_are_decoded_at_once():
    data = tiff(GREY, rowsperstrip=8, compression="zlib")
    assert isinstance(open_image(data, at_once_px=GREY.size).rows, ArrayRows)
    assert not isinstance(open_image(data, at_once_px=GREY.size - 1).rows, ArrayRows)
