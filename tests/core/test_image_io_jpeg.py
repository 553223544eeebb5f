import io
import struct

import cv2
import imagecodecs
import numpy as np
import pytest

from monolayer_core.errors import ImageTooLargeError, TruncatedImageError, UnusableImageError
from monolayer_core.image_formats import jpeg as jpeg_format
from monolayer_core.image_io import decode_image, read_header

SMOOTH = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (64, 80, 3)).astype(np.uint8), (0, 0), 6)


def jpeg(array: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", array if array.ndim == 2 else array[..., ::-1].copy(), list(options))[1].tobytes()


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + data[2:]


def exif_turned_right() -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


BASELINE = jpeg(SMOOTH)
PROGRESSIVE = jpeg(SMOOTH, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = jpeg(SMOOTH, cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
GREY = jpeg(SMOOTH[..., 0])


@pytest.mark.parametrize(
    "data", [BASELINE, PROGRESSIVE, RESTARTS, GREY], ids=["baseline", "progressive", "restarts", "grey"]
)
def test_each_way_of_coding_is_read(data):
    pixels = decode_image(data).pixels
    expected = SMOOTH if pixels.ndim == 3 else SMOOTH[..., 0]
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 12


@pytest.mark.parametrize(
    "data", [BASELINE, PROGRESSIVE, RESTARTS, GREY], ids=["baseline", "progressive", "restarts", "grey"]
)
def test_a_stream_cut_anywhere_is_refused(data):
    for length in range(3, len(data), 7):
        with pytest.raises(TruncatedImageError, match="JPEG"):
            decode_image(data[:length])


def test_the_orientation_in_exif_is_ignored():
    turned = with_segment(BASELINE, 0xE1, exif_turned_right())
    np.testing.assert_array_equal(decode_image(turned).pixels, decode_image(BASELINE).pixels)


def test_a_picture_inside_a_segment_is_not_taken_for_the_picture():
    thumbnail = jpeg(SMOOTH[:8, :8])
    header = read_header(with_segment(BASELINE, 0xE1, b"Exif\0\0" + thumbnail))
    assert (header.height, header.width) == (64, 80)


def test_rgb_stored_without_conversion_is_rgb():
    data = imagecodecs.jpeg8_encode(SMOOTH, level=95, colorspace="rgb", outcolorspace="rgb")
    assert np.abs(decode_image(data).pixels.astype(int) - SMOOTH).max() <= 12


def test_cmyk_has_no_defined_colours_and_is_refused():
    data = imagecodecs.jpeg8_encode(np.zeros((8, 8, 4), dtype=np.uint8), colorspace="cmyk", outcolorspace="cmyk")
    with pytest.raises(UnusableImageError, match="CMYK"):
        read_header(data)


@pytest.mark.parametrize("position", [0, 3], ids=["arithmetic or lossless coding", "12 bits"])
def test_kinds_that_are_not_read_are_refused(position):
    frame = BASELINE.index(b"\xff\xc0")
    data = bytearray(BASELINE)
    if position == 0:
        data[frame + 1] = 0xC3
    else:
        data[frame + 4] = 12
    with pytest.raises(UnusableImageError, match="is not read"):
        read_header(bytes(data))


def test_a_size_beyond_the_limit_is_refused_by_the_header_alone():
    frame = BASELINE.index(b"\xff\xc0")
    data = BASELINE[: frame + 5] + struct.pack(">HH", 65_000, 65_000) + BASELINE[frame + 9 :]
    with pytest.raises(ImageTooLargeError):
        decode_image(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x01",
        BASELINE[:20] + b"\x00" + BASELINE[20:],
        BASELINE[:-2] + BASELINE[2:],
        BASELINE[: BASELINE.index(b"\xff\xda")] + b"\xff\xd9",
    ],
    ids=["nothing inside", "segment without length", "no marker where one belongs", "two frames", "no scan"],
)
def test_a_broken_structure_is_refused(data):
    with pytest.raises(TruncatedImageError):
        decode_image(data)


def test_a_height_of_zero_is_refused():
    frame = BASELINE.index(b"\xff\xc0")
    with pytest.raises(UnusableImageError, match="no pixels"):
        read_header(BASELINE[: frame + 5] + b"\0\0" + BASELINE[frame + 7 :])


def test_endless_segments_and_fill_bytes_are_refused_in_time():
    for filler in (b"\xff\xfe\x00\x02" * 300_000, b"\xff\xd0" * 300_000, b"\xff" * 3_000_000):
        with pytest.raises(TruncatedImageError):
            decode_image(BASELINE[:2] + filler)
    scan = BASELINE.index(b"\xff\xda") + 14
    with pytest.raises(TruncatedImageError):
        decode_image(BASELINE[:scan] + b"\xff" * 3_000_000 + b"\x00")


def test_what_follows_the_end_is_ignored():
    assert decode_image(BASELINE + b"trailing").channels == 3


def test_a_jpeg_of_one_pixel_is_read():
    stream = io.BytesIO(jpeg(np.full((1, 1), 90, dtype=np.uint8)))
    assert decode_image(stream.getvalue()).pixels.tolist() == [[90]]


def test_more_scans_than_any_encoder_writes_are_refused():
    last = PROGRESSIVE.rindex(b"\xff\xda")
    scan, missing = PROGRESSIVE[last:-2], 100 - PROGRESSIVE.count(b"\xff\xda")
    decode_image(PROGRESSIVE[:-2] + missing * scan + PROGRESSIVE[-2:])
    with pytest.raises(UnusableImageError, match="101 scans"):
        decode_image(PROGRESSIVE[:-2] + (missing + 1) * scan + PROGRESSIVE[-2:])


@pytest.mark.parametrize("height", [2000, 20_000])
@pytest.mark.parametrize("data", [BASELINE, PROGRESSIVE, GREY], ids=["baseline", "progressive", "grey"])
def test_a_size_that_the_coded_pixels_cannot_fill_is_refused(data, height):
    frame = min(data.find(marker) % (1 << 30) for marker in (b"\xff\xc0", b"\xff\xc2"))
    swollen = data[: frame + 5] + struct.pack(">HH", height, 60_000_000 // height) + data[frame + 9 :]
    assert read_header(swollen).height == height
    with pytest.raises(TruncatedImageError, match="pixels need"):
        decode_image(swollen)


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_OPTIMIZE, 1)])
@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (301, 1200), (301, 1200, 3)])
def test_nothing_but_one_grey_is_no_lack_of_data(options, shape):
    """No image takes fewer bits than a uniform one."""
    pixels = decode_image(jpeg(np.full(shape, 128, dtype=np.uint8), *options)).pixels
    assert pixels.shape == shape
    assert np.abs(pixels.astype(int) - 128).max() <= 1


def test_a_large_image_may_have_fewer_scans(monkeypatch):
    monkeypatch.setattr(jpeg_format, "_SCANNED_PX", 20 * 64 * 80)
    last = PROGRESSIVE.rindex(b"\xff\xda")
    scan, missing = PROGRESSIVE[last:-2], 20 - PROGRESSIVE.count(b"\xff\xda")
    decode_image(PROGRESSIVE[:-2] + missing * scan + PROGRESSIVE[-2:])
    with pytest.raises(UnusableImageError, match="21 scans is not read, 20 at most"):
        decode_image(PROGRESSIVE[:-2] + (missing + 1) * scan + PROGRESSIVE[-2:])


def test_the_memory_of_a_progressive_image_counts_what_is_kept_between_scans():
    assert read_header(BASELINE).decoded_bytes == SMOOTH.size
    assert read_header(PROGRESSIVE).decoded_bytes == 3 * SMOOTH.size
