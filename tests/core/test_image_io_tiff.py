import io
import json
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_core.errors import (
    AmbiguousAxesError,
    ImageTooLargeError,
    OptionError,
    TruncatedImageError,
    UnusableImageError,
)
from monolayer_core.image_formats import tiff_chain
from monolayer_core.image_io import ImageLimits, ReadOptions, decode_image, read_header

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 60_000, (3, 50, 40)).astype(np.uint16)
GREY = STACK[0]
COLOUR = RANDOM.integers(0, 256, (50, 40, 3)).astype(np.uint8)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def pages(*arrays: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for array in arrays:
            writer.write(array, metadata=None, contiguous=False, **options)
    return stream.getvalue()


COMPRESSIONS = ["none", "lzw", "zlib", "zstd", "packbits", "lzma"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_compression_layout_and_byte_order_is_exact(compression, data):
    dtype = data.draw(st.sampled_from(["u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"]))
    colour = data.draw(st.booleans())
    tiled = data.draw(st.booleans())
    separate = colour and data.draw(st.booleans())
    array = (COLOUR if colour else GREY).astype(dtype)
    predictor = compression not in ("none", "packbits") and dtype != "f2" and data.draw(st.booleans())
    encoded = tiff(
        array.transpose(2, 0, 1) if separate else array,
        compression=None if compression == "none" else compression,
        predictor=predictor,
        tile=(16, 32) if tiled else None,
        rowsperstrip=None if tiled else data.draw(st.sampled_from([1, 7, 50])),
        photometric="rgb" if colour else "minisblack",
        planarconfig=("separate" if separate else "contig") if colour else None,
        byteorder=data.draw(st.sampled_from("<>")),
        bigtiff=data.draw(st.booleans()),
    )
    image = decode_image(encoded)
    assert image.pixels.dtype == dtype
    assert image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(image.pixels, array)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 16}], ids=["whole", "tiles", "strips"])
@pytest.mark.parametrize("stored_as", ["rgb", "ycbcr"])
def test_jpeg_inside_is_rgb(options, stored_as):
    ramps = np.meshgrid(np.arange(0, 192, 3), np.arange(0, 144, 3))
    smooth = np.stack([*ramps, np.full((48, 64), 90)], axis=2).astype(np.uint8)
    arguments = {"level": 95, "outcolorspace": stored_as}
    encoded = tiff(smooth, photometric="rgb", compression="jpeg", compressionargs=arguments, **options)
    assert np.abs(decode_image(encoded).pixels.astype(int) - smooth).max() <= 12


def test_bilevel_becomes_0_and_255():
    mask = GREY > 30_000
    np.testing.assert_array_equal(decode_image(tiff(mask, photometric="minisblack")).pixels, mask * np.uint8(255))


def test_where_zero_is_white_unsigned_values_are_inverted():
    np.testing.assert_array_equal(decode_image(tiff(GREY, photometric="miniswhite")).pixels, 65_535 - GREY)
    mask = GREY > 30_000
    np.testing.assert_array_equal(decode_image(tiff(mask, photometric="miniswhite")).pixels, (~mask) * np.uint8(255))


def test_a_palette_is_rgb_but_in_a_file_of_imagej_tints_intensities():
    ramp = np.arange(256, dtype=np.uint16)
    table = np.stack([ramp, ramp // 2, 255 - ramp]) * 256
    index = GREY.astype(np.uint8)
    expected = np.stack([index, index // 2, 255 - index], axis=2)
    np.testing.assert_array_equal(decode_image(tiff(index, photometric="palette", colormap=table)).pixels, expected)
    tinted = tiff(index, photometric="palette", colormap=table, description="ImageJ=1.53t\n", metadata=None)
    np.testing.assert_array_equal(decode_image(tinted).pixels, index)


def test_three_samples_that_are_not_called_rgb_are_channels():
    encoded = tiff(COLOUR, photometric="minisblack", planarconfig="contig")
    assert read_header(encoded).axes == "YXC"
    with pytest.raises(AmbiguousAxesError, match=r"3 channels: choose one with channel=0\.\.2"):
        decode_image(encoded)
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(channel=2)).pixels, COLOUR[..., 2])
    separate = tiff(COLOUR.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate")
    np.testing.assert_array_equal(decode_image(separate, ReadOptions(channel=1)).pixels, COLOUR[..., 1])
    assert decode_image(separate, ReadOptions(axes="SYX")).channels == 3


@pytest.mark.parametrize("option", ["channel", "z", "t"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_plain_stack_needs_one_index_and_takes_the_callers_word_for_what_it_counts(option, compression):
    encoded = pages(*STACK, compression=compression)
    assert (read_header(encoded).axes, read_header(encoded).shape) == ("QYX", (3, 50, 40))
    with pytest.raises(AmbiguousAxesError, match="3 planes"):
        decode_image(encoded)
    for index in range(3):
        image = decode_image(encoded, ReadOptions(**{option: index}))
        np.testing.assert_array_equal(image.pixels, STACK[index])
    with pytest.raises(OptionError, match=f"{option}=3"):
        decode_image(encoded, ReadOptions(**{option: 3}))
    with pytest.raises(AmbiguousAxesError, match="3 planes"):
        decode_image(encoded, ReadOptions(z=0, t=0))


def test_pages_of_another_size_or_type_are_left_out():
    encoded = pages(GREY, GREY[::2, ::2], GREY.astype(np.uint8))
    np.testing.assert_array_equal(decode_image(encoded).pixels, GREY)
    mixed = pages(STACK[0], STACK[0, ::2, ::2], STACK[1])
    np.testing.assert_array_equal(decode_image(mixed, ReadOptions(z=1)).pixels, STACK[1])


@pytest.mark.parametrize("truncate", [False, True], ids=["a page each", "all planes behind one page"])
def test_the_description_of_tifffile_is_understood(truncate):
    stack = RANDOM.integers(0, 99, (2, 3, 20, 30)).astype(np.uint16)
    named = tiff(stack, photometric="minisblack", metadata={"axes": "ZCYX"}, truncate=truncate)
    assert (read_header(named).axes, read_header(named).shape) == ("ZCYX", (2, 3, 20, 30))
    np.testing.assert_array_equal(decode_image(named, ReadOptions(z=1, channel=2)).pixels, stack[1, 2])
    plain = tiff(stack, photometric="minisblack", truncate=truncate)
    with pytest.raises(AmbiguousAxesError, match=r"\(2, 3, 20, 30\).*axes"):
        decode_image(plain, ReadOptions(z=1))
    np.testing.assert_array_equal(decode_image(plain, ReadOptions(axes="TZYX", t=1, z=0)).pixels, stack[1, 0])


@pytest.mark.parametrize("truncate", [False, True], ids=["a page each", "all planes behind one page"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_an_imagej_hyperstack_is_read_plane_by_plane(truncate, byteorder):
    stack = RANDOM.integers(0, 60_000, (2, 3, 4, 20, 30)).astype(np.uint16)
    encoded = tiff(stack, imagej=True, metadata={"axes": "TZCYX"}, truncate=truncate, byteorder=byteorder)
    assert read_header(encoded).axes == "TZCYX"
    for t, z, channel in np.ndindex(2, 3, 4):
        image = decode_image(encoded, ReadOptions(t=t, z=z, channel=channel))
        np.testing.assert_array_equal(image.pixels, stack[t, z, channel])
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(encoded, ReadOptions(z=0))
    assert "2 time points" in str(caught.value)
    assert "4 channels" in str(caught.value)


def test_an_imagej_rgb_stack_is_a_stack_of_colour_pictures():
    stack = RANDOM.integers(0, 256, (1, 4, 1, 20, 30, 3)).astype(np.uint8)
    encoded = tiff(stack, imagej=True, metadata={"axes": "TZCYXS"})
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(z=3)).pixels, stack[0, 3, 0])


@pytest.mark.parametrize("axes", ["ZYX", "TZCYX", "zyx"])
def test_the_callers_axes_beat_those_of_the_file(axes):
    encoded = tiff(STACK.reshape(3, 1, 1, 50, 40), imagej=True, metadata={"axes": "TZCYX"})
    with pytest.raises(AmbiguousAxesError, match="3 time points"):
        decode_image(encoded, ReadOptions(z=0) if axes == "TZCYX" else ReadOptions())
    if axes.upper() == "ZYX":
        np.testing.assert_array_equal(decode_image(encoded, ReadOptions(axes=axes, z=2)).pixels, STACK[2])


def test_pages_cannot_be_called_rows():
    with pytest.raises(OptionError, match="pages"):
        decode_image(pages(*STACK), ReadOptions(axes="YXZ", z=0))


def test_only_the_chosen_plane_is_decoded(monkeypatch):
    read = []
    original = tifffile.TiffPage.asarray

    def spy(page, **options):
        read.append(page.index)
        return original(page, **options)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", spy)
    encoded = pages(*STACK, compression="zlib")
    read_header(encoded)
    assert read == []
    decode_image(encoded, ReadOptions(z=1))
    assert read == [1]


@pytest.mark.parametrize("compression", [*COMPRESSIONS, "jpeg"])
@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"rowsperstrip": 10}], ids=["tiles", "strips"])
def test_data_that_ends_early_is_refused(compression, options):
    encoded = tiff(COLOUR, photometric="rgb", compression=None if compression == "none" else compression, **options)
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        last = max(a + b for a, b in zip(file.pages.first.dataoffsets, file.pages.first.databytecounts, strict=True))
    assert last <= len(encoded)
    for length in (last - 1, last // 2):
        with pytest.raises(TruncatedImageError):
            decode_image(encoded[:length])


def with_tag(encoded: bytes, code: int, change) -> bytes:
    """Change the first value of a tag in place."""
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        tag = file.pages.first.tags[code]
        kind = {3: "<H", 4: "<I"}[tag.dtype]
        value = tag.value[0] if isinstance(tag.value, tuple) else tag.value
        place = tag.valueoffset
    changed = struct.pack(kind, change(value))
    return encoded[:place] + changed + encoded[place + len(changed) :]


OFFSETS, COUNTS, COMPRESSION, WIDTH, BITS, PHOTOMETRIC = 273, 279, 259, 256, 258, 262


DAMAGED_STRIPS = {
    "strip missing": (OFFSETS, lambda _: 0),
    "strip beyond the end": (OFFSETS, lambda _: 2**31),
    "strip empty": (COUNTS, lambda _: 0),
    "strip cut": (COUNTS, lambda length: length // 2),
    "strip too long": (COUNTS, lambda _: 2**31 - 1),
}
# How long uncompressed data is follows from the other tags.
DAMAGED_FILES = [
    (compression, damage)
    for compression in [*COMPRESSIONS, "jpeg"]
    for damage, (code, _) in DAMAGED_STRIPS.items()
    if not (compression == "none" and code == COUNTS)
]


@pytest.mark.parametrize(("compression", "damage"), DAMAGED_FILES)
def test_strips_that_are_not_whole_are_refused(compression, damage):
    code, change = DAMAGED_STRIPS[damage]
    # A strip is so long that its length is stored in four bytes.
    encoded = tiff(
        RANDOM.integers(0, 256, (400, 300, 3)).astype(np.uint8),
        photometric="rgb",
        compression=None if compression == "none" else compression,
        rowsperstrip=400,
    )
    with pytest.raises(TruncatedImageError):
        decode_image(with_tag(encoded, code, change))


def test_12_bits_stay_12_bits():
    values = (GREY // 16).astype(np.uint32)
    pairs = values[:, ::2] << 12 | values[:, 1::2]  # two pixels in three bytes, the highest bits first
    packed = np.stack([pairs >> 16, pairs >> 8, pairs], axis=2).astype(np.uint8).reshape(50, 60)
    encoded = with_tag(with_tag(tiff(packed, metadata=None), WIDTH, lambda _: 40), BITS, lambda _: 12)
    image = decode_image(encoded)
    assert image.pixels.dtype == np.uint16
    np.testing.assert_array_equal(image.pixels, values)


@pytest.mark.parametrize(
    ("place", "change"), [(2, 2), (2, 1), (2, 5), (4, 2)], ids=["text", "byte", "ratio", "two of them"]
)
def test_a_width_that_is_no_number_is_refused(place, change):
    encoded = tiff(GREY, metadata=None)
    entry = encoded.index(struct.pack("<HH", WIDTH, 4))
    damaged = encoded[: entry + place] + bytes([change]) + encoded[entry + place + 1 :]
    with pytest.raises(TruncatedImageError, match="tag 256"):
        decode_image(damaged)


def test_fewer_strips_than_rows_need_are_refused():
    encoded = tiff(GREY, compression="zlib", rowsperstrip=10)
    with pytest.raises(TruncatedImageError):
        decode_image(with_tag(encoded, 278, lambda _: 1))


def test_a_jpeg_tile_larger_than_the_tags_say_is_not_decoded():
    small = tiff(COLOUR[:16, :16], photometric="rgb", compression="jpeg", tile=(16, 16))
    start = small.index(b"\xff\xc0")
    bomb = small[: start + 5] + struct.pack(">HH", 65_000, 65_000) + small[start + 9 :]
    with pytest.raises(TruncatedImageError, match="larger than the tags say"):
        decode_image(bomb)


def test_a_small_strip_that_unpacks_to_very_much_is_refused():
    small = tiff(np.zeros((4, 4), dtype=np.uint8), compression="zlib")
    huge = tiff(np.zeros((5000, 5000), dtype=np.uint8), compression="zlib", rowsperstrip=5000)
    with tifffile.TiffFile(io.BytesIO(huge)) as file:
        packed = huge[file.pages.first.dataoffsets[0] :][: file.pages.first.databytecounts[0]]
    bomb = with_tag(with_tag(small, OFFSETS, lambda _: len(small)), COUNTS, lambda _: len(packed)) + packed
    with pytest.raises(TruncatedImageError):
        decode_image(bomb)


@pytest.mark.parametrize(
    ("code", "value", "word"),
    [
        (COMPRESSION, 6, "compression"),
        (COMPRESSION, 50_002, "compression"),
        (COMPRESSION, 33_003, "compression"),
        (PHOTOMETRIC, 5, "colours"),
        (PHOTOMETRIC, 8, "colours"),
    ],
    ids=["old JPEG", "JPEG XL", "JPEG 2000 in YCbCr", "CMYK", "Lab"],
)
def test_kinds_that_are_not_read_are_refused(code, value, word):
    with pytest.raises(UnusableImageError, match=word):
        decode_image(with_tag(tiff(COLOUR, photometric="rgb"), code, lambda _: value))


def test_complex_pixels_are_refused():
    with pytest.raises(UnusableImageError, match="complex"):
        decode_image(tiff(np.ones((4, 5), dtype=np.complex64)))


def test_an_endless_chain_of_pages_is_refused():
    encoded = pages(GREY, GREY)
    (first,) = struct.unpack_from("<I", encoded, 4)
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        second = file.pages[1].offset
    (entries,) = struct.unpack_from("<H", encoded, second)
    end = second + 2 + 12 * entries
    looped = encoded[:end] + struct.pack("<I", first) + encoded[end + 4 :]
    with pytest.raises(TruncatedImageError):
        decode_image(looped, ReadOptions(z=0))


def test_tags_are_looked_at_before_tifffile_reads_them(monkeypatch):
    def never(*_, **__):
        pytest.fail("tifffile was called")

    encoded = tiff(GREY, rowsperstrip=1)
    monkeypatch.setattr(tiff_chain, "MAX_TAG_VALUES", 49)
    monkeypatch.setattr(tifffile, "TiffFile", never)
    with pytest.raises(ImageTooLargeError):
        decode_image(encoded)


def test_more_pages_than_admitted_are_refused(monkeypatch):
    monkeypatch.setattr(tiff_chain, "MAX_PAGES", 2)
    assert decode_image(pages(*STACK[:2]), ReadOptions(z=1)).channels == 1
    with pytest.raises(ImageTooLargeError, match="more than 2 pages"):
        decode_image(pages(*STACK), ReadOptions(z=1))


def test_a_tag_with_more_values_than_admitted_is_refused_before_they_are_read(monkeypatch):
    encoded = tiff(GREY, rowsperstrip=1)
    monkeypatch.setattr(tiff_chain, "MAX_TAG_VALUES", 50)
    assert decode_image(encoded).pixels.shape == (50, 40)
    monkeypatch.setattr(tiff_chain, "MAX_TAG_VALUES", 49)
    with pytest.raises(ImageTooLargeError, match="50 values"):
        decode_image(encoded)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_page_with_absurdly_many_tags_is_refused(bigtiff):
    encoded = tiff(GREY, bigtiff=bigtiff)
    place = 16 if bigtiff else 8
    with pytest.raises(TruncatedImageError):
        decode_image(encoded[:place] + b"\xff\xff" + encoded[place + 2 :])


def test_an_imagej_file_that_speaks_of_images_alone_is_ambiguous():
    encoded = pages(*STACK)
    described = tiff(STACK, description="ImageJ=1.53t\nimages=3\n", metadata=None, photometric="minisblack")
    assert read_header(described).axes == read_header(encoded).axes == "QYX"
    np.testing.assert_array_equal(decode_image(described, ReadOptions(t=2)).pixels, STACK[2])


def test_the_limit_counts_a_whole_tile_even_where_the_image_fills_a_corner_of_it():
    encoded = tiff(GREY[:4, :4], tile=(256, 256))
    assert decode_image(encoded).pixels.shape == (4, 4)
    assert read_header(encoded).decoded_bytes >= 256 * 256 * 2
    with pytest.raises(ImageTooLargeError, match="bytes"):
        decode_image(encoded, limits=ImageLimits(max_pixels=1000))


def test_more_planes_described_than_stored_are_refused():
    claims = json.dumps({"shape": [1_000_000_000, 50, 40]})
    with pytest.raises(TruncatedImageError, match="planes are described"):
        read_header(tiff(GREY, description=claims, metadata=None))
    with pytest.raises(TruncatedImageError, match="planes are described"):
        read_header(tiff(GREY, description="ImageJ=1.53t\nimages=9\nslices=9\n", metadata=None, compression="zlib"))


def test_a_metamorph_stack_is_refused_rather_than_read_in_part():
    encoded = tiff(GREY, extratags=[(33629, 4, 12, tuple(range(12)), True)], metadata=None)
    with pytest.raises(UnusableImageError, match="MetaMorph"):
        decode_image(encoded)


def test_the_orientation_tag_is_ignored():
    turned = tiff(GREY, extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(decode_image(turned).pixels, GREY)
