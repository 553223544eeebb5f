"""Compressions and kinds of pixels inside TIFF, in files that tifffile and imagecodecs write."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile

from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_io import decode_image, open_image, read_header
from monolayer_core.row_source import whole

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 60_000, (50, 40)).astype(np.uint16)
COLOUR = RANDOM.integers(0, 256, (50, 40, 3)).astype(np.uint8)
LAYOUTS = {"one strip": {}, "strips": {"rowsperstrip": 16}, "tiles": {"tile": (32, 16)}}


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def first_segment(encoded: bytes) -> tuple[int, int]:
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        return file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]


def with_tag(encoded: bytes, code: int, kind: str, *values: int) -> bytes:
    """Change the values of a tag in place."""
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        place = file.pages.first.tags[code].valueoffset
    changed = struct.pack(f"<{len(values)}{kind}", *values)
    return encoded[:place] + changed + encoded[place + len(changed) :]


def holding(segment: bytes, **options: object) -> bytes:
    """A TIFF of one strip of 16 x 16 grey pixels whose data is `segment`."""
    encoded = tiff(np.zeros((16, 16), np.uint8), metadata=None, **options)
    return with_tag(with_tag(encoded, 273, "I", len(encoded)), 279, "I", len(segment)) + segment


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", ["jpeg2000", "APERIO_JP2000_RGB"])
@pytest.mark.parametrize("array", [GREY, COLOUR, COLOUR[..., 0]], ids=["uint16", "RGB", "uint8"])
def test_jpeg_2000_without_loss_is_exact(layout, compression, array):
    kind = "rgb" if array.ndim == 3 else "minisblack"
    encoded = tiff(array, photometric=kind, compression=compression, **LAYOUTS[layout])
    image = decode_image(encoded)
    assert image.pixels.dtype == array.dtype
    np.testing.assert_array_equal(image.pixels, array)
    np.testing.assert_array_equal(whole(open_image(encoded).rows), array)


@pytest.mark.parametrize("options", [{"codecformat": "j2k"}, {"codecformat": "jp2"}], ids=["alone", "in boxes"])
def test_a_jpeg_2000_codestream_may_stand_alone_or_in_boxes(options):
    picture = COLOUR[:16, :16, 0]
    stream = imagecodecs.jpeg2k_encode(picture, **options)
    encoded = with_tag(holding(stream), 259, "H", 34_712)
    np.testing.assert_array_equal(decode_image(encoded).pixels, picture)


@pytest.mark.parametrize("missing", [1, 2, 40, 300])
def test_jpeg_2000_that_is_cut_is_refused(missing):
    encoded = tiff(GREY, compression="jpeg2000")
    _, length = first_segment(encoded)
    with pytest.raises(TruncatedImageError):
        decode_image(with_tag(encoded, 279, "H" if length < 1 << 16 else "I", length - missing))


def announcing(place: int, value: int) -> bytes:
    """A JPEG 2000 codestream with one number of its size segment changed."""
    stream = imagecodecs.jpeg2k_encode(COLOUR[:16, :16, 0], codecformat="j2k")
    assert stream[:4] == b"\xff\x4f\xff\x51"
    return stream[:place] + struct.pack(">I", value) + stream[place + 4 :]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


SIGNATURE = box(b"jP  ", b"\r\n\x87\n")


@pytest.mark.parametrize(
    ("stream", "error", "words"),
    [
        (announcing(8, 60_000), TruncatedImageError, "larger than the tags say"),
        (announcing(12, 60_000), TruncatedImageError, "larger than the tags say"),
        (announcing(8, 0), TruncatedImageError, "cannot be"),
        (announcing(24, 0), TruncatedImageError, "cannot be"),
        (announcing(16, 2**31), TruncatedImageError, "cannot be"),
        (announcing(24, 1)[:28] + struct.pack(">I", 1) + b"\0" * 40, TruncatedImageError, "JPEG 2000|damaged"),
        (
            struct.pack(">HHHH8I", 0xFF4F, 0xFF51, 41, 0, 99, 99, 0, 0, 1, 1, 0, 0) + b"\0\1",
            UnusableImageError,
            "tiles",
        ),
        (b"no codestream at all, but long enough for one", TruncatedImageError, "begin with its size"),
        (SIGNATURE + box(b"jp2h", box(b"pclr", b"")), UnusableImageError, "palette"),
        (SIGNATURE + box(b"jp2h", b""), TruncatedImageError, "holds no codestream"),
        (SIGNATURE + b"\0\0\0\7jp2c", TruncatedImageError, "box"),
        (SIGNATURE + b"\0\1\0\0jp2c", TruncatedImageError, "box"),
        (SIGNATURE + box(b"free", b"") * 300, TruncatedImageError, "boxes"),
    ],
    ids=[
        "wider than the tags",
        "higher than the tags",
        "no width",
        "no tile",
        "begins beyond its end",
        "cut",
        "many tiles",
        "something else",
        "palette",
        "no codestream in boxes",
        "box shorter than its head",
        "box longer than the data",
        "many boxes",
    ],
)
def test_jpeg_2000_is_refused_before_it_is_decoded_where_it_is_not_what_the_tags_say(stream, error, words, monkeypatch):
    encoded = with_tag(holding(stream), 259, "H", 34_712)
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", None)
    with pytest.raises(error, match=words):
        decode_image(encoded)
    with pytest.raises(error, match=words):
        whole(open_image(encoded).rows)


@pytest.mark.parametrize("compression", ["webp", "png", "jpegxl", "jpegxr", "lerc", "pixtiff"])
def test_other_compressions_are_refused_with_their_name_and_what_to_do(compression):
    name = {"lerc": "LERC"}.get(compression, compression.upper())
    with pytest.raises(
        UnusableImageError, match=rf"(?i)compression {name}.* is not read: save it uncompressed or with"
    ):
        decode_image(tiff(COLOUR, photometric="rgb", compression=compression))


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_jpeg_with_coarser_colours_is_rgb(subsampling, layout):
    ramps = np.meshgrid(np.arange(0, 192, 3), np.arange(0, 192, 3))  # whole tiles: encoders fill the rest with black
    smooth = np.stack([*ramps, np.full((64, 64), 90)], axis=2).astype(np.uint8)
    options = {
        "photometric": "rgb",
        "compression": "jpeg",
        "subsampling": subsampling,
        "compressionargs": {"level": 95},
    }
    encoded = tiff(smooth, **options, **LAYOUTS[layout])
    assert np.abs(decode_image(encoded).pixels.astype(int) - smooth).max() <= 12
    np.testing.assert_array_equal(whole(open_image(encoded).rows), decode_image(encoded).pixels)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_jpeg_without_loss_and_of_12_bits_keeps_its_depth(layout):
    exact = tiff(GREY, compression="jpeg", compressionargs={"lossless": True}, **LAYOUTS[layout])
    np.testing.assert_array_equal(decode_image(exact).pixels, GREY)
    np.testing.assert_array_equal(whole(open_image(exact).rows), GREY)
    ramp = np.add.outer(np.arange(64) * 30, np.arange(64) * 30).astype(np.uint16)
    lossy = tiff(ramp, compression="jpeg", compressionargs={"bitspersample": 12, "level": 95}, **LAYOUTS[layout])
    assert decode_image(lossy).pixels.dtype == np.uint16
    assert np.abs(decode_image(lossy).pixels.astype(int) - ramp).max() <= 40


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("compression", ["zlib", "zstd", "lzw"])
def test_the_predictor_of_floating_point_numbers_is_undone(dtype, compression):
    array = (GREY / 7).astype(dtype)
    encoded = tiff(array, compression=compression, predictor=3, rowsperstrip=16)
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        assert file.pages.first.predictor == 3
    np.testing.assert_array_equal(decode_image(encoded).pixels, array)
    np.testing.assert_array_equal(whole(open_image(encoded).rows), array)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u8"])
@pytest.mark.parametrize("byteorder", "<>")
def test_signed_and_wide_integers_keep_their_values(dtype, byteorder):
    array = GREY.astype(dtype)
    image = decode_image(tiff(array, byteorder=byteorder, compression="zlib", predictor=2, bigtiff=True))
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.pixels, array)


def test_12_bits_in_16_are_as_they_are():
    camera = (GREY // 16).astype(np.uint16)
    image = decode_image(tiff(camera, extratags=[(281, 3, 1, 4095, True)]))  # MaxSampleValue
    np.testing.assert_array_equal(image.pixels, camera)


@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strips", "tiles"])
def test_one_bit_a_pixel_is_unpacked(tile):
    mask = GREY > 30_000
    encoded = tiff(mask, compression="packbits", tile=tile, photometric="minisblack")
    np.testing.assert_array_equal(decode_image(encoded).pixels, mask * np.uint8(255))
    np.testing.assert_array_equal(whole(open_image(encoded).rows), mask * np.uint8(255))


def test_a_palette_of_two_colours_is_rgb():
    mask = GREY > 30_000
    table = np.zeros((3, 256), np.uint16)
    table[:, :2] = [[10 << 8, 200 << 8], [20 << 8, 100 << 8], [30 << 8, 50 << 8]]
    encoded = tiff(np.packbits(mask, axis=1), photometric="palette", colormap=table, metadata=None)
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        colours = file.pages.first.tags[320].valueoffset
    # A table of a palette has as many entries as the bits allow, so that of one bit is made of the larger one's place.
    entry = encoded.index(struct.pack("<HH", 320, 3))
    encoded = encoded[: entry + 4] + struct.pack("<I", 6) + encoded[entry + 8 :]
    encoded = encoded[:colours] + table[:, :2].tobytes() + encoded[colours + 12 :]
    encoded = with_tag(with_tag(encoded, 256, "I", 40), 258, "H", 1)
    assert (read_header(encoded).axes, read_header(encoded).shape) == ("YXS", (50, 40, 3))
    np.testing.assert_array_equal(decode_image(encoded).pixels, (table[:, :2] >> 8).T[mask.astype(int)])


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_the_fourth_sample_of_rgb_is_left_out(kind, planarconfig):
    four = np.concatenate([COLOUR, COLOUR[..., :1] // 2], axis=2)
    stored = four if planarconfig == "contig" else four.transpose(2, 0, 1)
    encoded = tiff(stored, photometric="rgb", extrasamples=[kind], planarconfig=planarconfig, compression="lzw")
    np.testing.assert_array_equal(decode_image(encoded).pixels, COLOUR)
