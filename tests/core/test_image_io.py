import gzip
import io

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_core.errors import (
    AmbiguousAxesError,
    EmptyImageError,
    ImageTooLargeError,
    OptionError,
    TruncatedImageError,
    UnknownFormatError,
    UnusableImageError,
)
from monolayer_core.image_formats import encoding
from monolayer_core.image_io import (
    ImageLimits,
    ReadOptions,
    decode_image,
    encode_label_tiff,
    encode_png,
    read_header,
)
from monolayer_core.row_runs import PaintedRows, find_row_runs
from monolayer_core.row_source import ArrayRows

GREY = np.random.default_rng(0).integers(0, 256, (21, 34)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (21, 34, 3)).astype(np.uint8)
SMOOTH = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (96, 128, 3)).astype(np.uint8), (0, 0), 6)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def opencv(extension: str, array: np.ndarray) -> bytes:
    bgr = array if array.ndim == 2 else np.ascontiguousarray(array[..., ::-1])
    return cv2.imencode(extension, bgr)[1].tobytes()


def rgb_tiff(array: np.ndarray) -> bytes:
    return tiff(array, photometric="rgb" if array.ndim == 3 else "minisblack")


LOSSLESS = {
    "png": encode_png,
    "bmp": lambda array: opencv(".bmp", array),
    "tiff": rgb_tiff,
    "npy": npy,
}
EVERY_FORMAT = {**LOSSLESS, "jpeg": lambda array: opencv(".jpg", array)}


def shapes(*, colour_only: bool = False) -> st.SearchStrategy:
    sides = st.integers(1, 9)
    grey, colour = st.tuples(sides, sides), st.tuples(sides, sides, st.just(3))
    return colour if colour_only else st.one_of(grey, colour)


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_encoded_without_loss_is_decoded_unchanged(kind, data):
    dtypes = {"bmp": ["u1"], "png": ["u1", "u2"]}.get(kind, ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
    elements = {"f4": st.floats(-1e6, 1e6, width=32), "f8": st.floats(-1e6, 1e6)}
    dtype = data.draw(st.sampled_from(dtypes))
    array = data.draw(hnp.arrays(dtype, shapes(), elements=elements.get(dtype)))
    image = decode_image(LOSSLESS[kind](array))
    assert image.format == kind
    assert image.pixels.dtype == array.dtype
    assert image.channels == (1 if array.ndim == 2 else 3)
    assert image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(image.pixels, array)


@pytest.mark.parametrize("kind", EVERY_FORMAT)
def test_the_header_says_what_the_pixels_are(kind):
    header = read_header(EVERY_FORMAT[kind](COLOUR))
    assert (header.format, header.shape, header.axes) == (kind, (21, 34, 3), "YXS")
    assert (header.height, header.width, header.dtype, header.pixel_size_um) == (21, 34, "uint8", None)
    assert header.decoded_bytes >= 21 * 34


@pytest.mark.parametrize("kind", EVERY_FORMAT)
@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999], ids=["half", "nine tenths", "nearly all"])
def test_a_file_that_is_cut_is_refused(kind, keep):
    data = EVERY_FORMAT[kind](SMOOTH)
    with pytest.raises(TruncatedImageError):
        decode_image(data[: int(len(data) * keep)])


@pytest.mark.parametrize("kind", EVERY_FORMAT)
def test_a_file_cut_inside_its_header_is_refused_and_nothing_else_happens(kind):
    data = EVERY_FORMAT[kind](GREY)
    for length in range(8, 60):
        with pytest.raises((TruncatedImageError, UnusableImageError)):
            decode_image(data[:length])


def test_no_bytes_and_unknown_bytes_are_told_apart():
    with pytest.raises(EmptyImageError):
        decode_image(b"")
    for data in (b"\x00", b"GIF89a....", b"%PDF-1.7", b"\x89PNX\r\n\x1a\n", b"hello" * 100):
        with pytest.raises(UnknownFormatError):
            decode_image(data)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"ZISRAWFILE", "CZI"),
        (b"\xda\xce\xbe\x0a\x20", "ND2"),
        (b"\x70\x00\x00\x00\x99\x01\x00\x00\x2a", "LIF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OIB"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (imagecodecs.jpeg2k_encode(GREY, codecformat="jp2"), "JPEG 2000"),
        (imagecodecs.jpeg2k_encode(GREY, codecformat="j2k"), "JPEG 2000"),
        (imagecodecs.webp_encode(COLOUR), "WebP"),
        (imagecodecs.jpegxl_encode(GREY, usecontainer=True), "JPEG XL"),
        (gzip.compress(b"a"), "gzip"),
        (b"GIF89a", "GIF"),
        (bytes(128) + b"DICM", "DICOM"),
    ],
)
def test_formats_that_are_not_read_are_called_by_their_name(start, name):
    with pytest.raises(UnknownFormatError, match=f"{name}.* is not read: save it as"):
        decode_image(start + bytes(200))


def test_a_jpeg_is_rgb_and_close_to_what_was_encoded():
    pixels = decode_image(opencv(".jpg", SMOOTH)).pixels
    assert np.abs(pixels.astype(int) - SMOOTH).mean() < 2
    assert decode_image(opencv(".jpg", SMOOTH[..., 0])).pixels.shape == SMOOTH.shape[:2]


@pytest.mark.parametrize("kind", EVERY_FORMAT)
def test_too_many_pixels_are_refused_before_decompression(kind):
    data = EVERY_FORMAT[kind](SMOOTH)
    height, width = SMOOTH.shape[:2]
    assert decode_image(data, limits=ImageLimits(max_pixels=height * width)).channels == 3
    with pytest.raises(ImageTooLargeError, match="96 x 128"):
        decode_image(data, limits=ImageLimits(max_pixels=height * width - 1))
    with pytest.raises(ImageTooLargeError, match="bytes"):
        decode_image(data, limits=ImageLimits(max_pixels=height * width, max_bytes_per_pixel=0))


@pytest.mark.parametrize("size", [0, -0.1, float("nan"), float("inf")])
def test_a_pixel_size_that_is_no_length_is_refused(size):
    with pytest.raises(OptionError, match="pixel_size_um"):
        read_header(npy(GREY), ReadOptions(pixel_size_um=size))


def test_the_callers_pixel_size_is_kept():
    assert decode_image(npy(GREY), ReadOptions(pixel_size_um=0.65)).pixel_size_um == 0.65
    assert decode_image(npy(GREY)).pixel_size_um is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("encode", [npy, tiff])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_values_that_are_not_finite_are_refused(value, encode, dtype):
    array = np.zeros((4, 5), dtype=dtype)
    array[2, 3] = value
    with pytest.raises(UnusableImageError, match="NaN"):
        decode_image(encode(array))


def test_alpha_is_dropped_and_grey_with_alpha_is_grey():
    alpha = np.full((21, 34, 1), 7, dtype=np.uint8)
    four = np.concatenate([COLOUR, alpha], axis=2)
    np.testing.assert_array_equal(decode_image(npy(four)).pixels, COLOUR)
    bgra = np.ascontiguousarray(four[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(decode_image(cv2.imencode(".png", bgra)[1].tobytes()).pixels, COLOUR)
    np.testing.assert_array_equal(
        decode_image(tiff(four, photometric="rgb", extrasamples=["unassalpha"])).pixels, COLOUR
    )
    two = np.concatenate([GREY[..., None], alpha], axis=2)
    grey_alpha = tiff(two, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(decode_image(grey_alpha).pixels, GREY)
    np.testing.assert_array_equal(decode_image(npy(two), ReadOptions(axes="YXS")).pixels, GREY)


def test_a_grey_picture_stored_as_rgb_stays_rgb():
    same = np.repeat(GREY[..., None], 3, axis=2)
    assert decode_image(encode_png(same)).channels == 3


def test_channel_picks_one_colour_of_an_rgb_picture():
    for encode in LOSSLESS.values():
        image = decode_image(encode(COLOUR), ReadOptions(channel=1))
        np.testing.assert_array_equal(image.pixels, COLOUR[..., 1])
        assert image.pixels.flags.c_contiguous


def test_alpha_is_no_channel():
    alpha = np.full((21, 34, 1), 7, dtype=np.uint8)
    four, two = (np.concatenate([array, alpha], axis=2) for array in (COLOUR, GREY[..., None]))
    apart = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]}
    bgra = np.ascontiguousarray(four[..., [2, 1, 0, 3]])
    for data in (cv2.imencode(".png", bgra)[1].tobytes(), npy(four), tiff(four.transpose(2, 0, 1), **apart)):
        np.testing.assert_array_equal(decode_image(data, ReadOptions(channel=2)).pixels, COLOUR[..., 2])
        with pytest.raises(OptionError, match=r"^channel=3 is outside the image, which has 3 colour samples$"):
            decode_image(data, ReadOptions(channel=3))
        with pytest.raises(OptionError, match=r"no colour sample 'alpha': .*; choose one with channel=0\.\.2$"):
            decode_image(data, ReadOptions(channel="alpha"))
    grey = tiff(two, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(decode_image(grey, ReadOptions(channel=0)).pixels, GREY)
    with pytest.raises(OptionError, match=r"^channel=1 is outside the image, which has 1 colour sample$"):
        decode_image(grey, ReadOptions(channel=1))


def test_samples_that_the_caller_calls_channels_are_all_channels():
    four = np.concatenate([COLOUR, GREY[..., None]], axis=2)
    np.testing.assert_array_equal(decode_image(npy(four), ReadOptions(axes="YXC", channel=3)).pixels, GREY)


@pytest.mark.parametrize("option", ["channel", "z", "t"])
def test_an_index_outside_the_image_is_refused(option):
    assert decode_image(encode_png(GREY), ReadOptions(**{option: 0})).channels == 1
    for index in (1, -1):
        with pytest.raises(OptionError, match=f"{option}={index}"):
            decode_image(encode_png(GREY), ReadOptions(**{option: index}))


@pytest.mark.parametrize(
    "array",
    [GREY[None], COLOUR.transpose(2, 0, 1), np.zeros((4, 5, 2)), np.zeros((2, 3, 4, 5)), np.zeros(7)],
    ids=["1yx", "3yx", "yx2", "4-d", "1-d"],
)
def test_axes_that_cannot_be_known_must_be_named(array):
    with pytest.raises(AmbiguousAxesError, match="axes"):
        decode_image(npy(array))


def test_the_callers_axes_are_taken_in_the_order_of_the_array():
    stack = np.random.default_rng(3).integers(0, 999, (2, 3, 5, 6)).astype(np.uint16)
    options = ReadOptions(axes="tcyx", t=1, channel=2)
    np.testing.assert_array_equal(decode_image(npy(stack), options).pixels, stack[1, 2])
    options = ReadOptions(axes="XYZC", z=1, channel=0)
    np.testing.assert_array_equal(decode_image(npy(stack), options).pixels, stack[:, :, 1, 0].T)
    np.testing.assert_array_equal(decode_image(npy(COLOUR.transpose(2, 0, 1)), ReadOptions(axes="SYX")).pixels, COLOUR)
    np.testing.assert_array_equal(decode_image(npy(GREY[None]), ReadOptions(axes="YX")).pixels, GREY)


@pytest.mark.parametrize("axes", ["CYXZ", "YXX", "CX", "QYX", "", "CY X"])
def test_axes_that_do_not_fit_are_refused(axes):
    with pytest.raises(OptionError, match="axes="):
        decode_image(npy(np.zeros((3, 5, 6))), ReadOptions(axes=axes))


def test_the_message_about_a_stack_names_the_option_and_its_range():
    stack = np.zeros((5, 3, 6, 7), dtype=np.uint8)
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(npy(stack), ReadOptions(axes="ZCYX"))
    assert str(caught.value) == (
        "the image has 3 channels: choose one with channel=0..2; "
        "the image has 5 z planes: choose one with z=0..4, or take their maximum with z=max"
    )
    with pytest.raises(AmbiguousAxesError, match=r"7 time points: choose one with t=0\.\.6"):
        decode_image(npy(np.zeros((7, 3, 4))), ReadOptions(axes="TYX"))


@pytest.mark.parametrize("largest", [0, 1, 65_535, 65_536, 2**31 - 1])
@pytest.mark.parametrize("pixel_size_um", [None, 0.8708])
def test_a_label_image_comes_back_with_its_pixel_size(largest, pixel_size_um):
    labels = np.zeros((300, 200), dtype=np.int32)
    labels[10:20, 30:40] = largest
    data = encode_label_tiff(ArrayRows(labels), largest, pixel_size_um)
    image = decode_image(data)
    np.testing.assert_array_equal(image.pixels, labels)
    assert image.pixels.dtype == (np.uint16 if largest < 65_536 else np.uint32)
    assert image.pixel_size_um == pixel_size_um
    assert (image.axes, image.plane.series) == ("TZCYX", None)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        [series] = file.series
        assert (file.is_ome, series.kind, series.axes, series.shape) == (True, "ome", "YX", (300, 200))
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert (pixels["SizeY"], pixels["SizeX"], pixels["Type"]) == (300, 200, str(image.pixels.dtype))
        said = [pixels.get(f"PhysicalSize{axis}{end}") for axis in "XY" for end in ("", "Unit")]
        assert said == ([None] * 4 if pixel_size_um is None else [0.8708, "µm"] * 2)
        assert file.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@given(pixel_size_um=st.floats(1e-300, 1e300))
def test_any_pixel_size_comes_back_from_the_description_and_where_it_fits_from_the_tags(pixel_size_um):
    data = encode_label_tiff(ArrayRows(np.eye(3, dtype=np.int32)), 1, pixel_size_um)
    assert decode_image(data).pixel_size_um == pixel_size_um
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages.first.tags
        across, down = tags[282].value, tags[283].value
        assert across == down
        if 1e-5 < pixel_size_um < 1e6:
            assert tags[296].value == tifffile.RESUNIT.CENTIMETER
            assert 10_000 * across[1] / across[0] == pytest.approx(pixel_size_um, rel=1e-4)
        elif not 1e-6 < pixel_size_um < 1e8:
            assert (tags[296].value, across) == (tifffile.RESUNIT.NONE, (1, 1))


@given(
    labels=hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 5)),
    strip_bytes=st.integers(1, 200),
)
def test_labels_painted_strip_by_strip_come_back(labels, strip_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_STRIP_BYTES", strip_bytes)
        data = encode_label_tiff(PaintedRows(find_row_runs(labels)), 5)
    np.testing.assert_array_equal(decode_image(data).pixels, labels)


@pytest.mark.parametrize("labels", [[[-1, 0]], [[0, 4]], [[]]], ids=["negative", "larger than said", "empty"])
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(UnusableImageError, match="label"):
        encode_label_tiff(ArrayRows(np.array(labels, dtype=np.int32)), 3)


@pytest.mark.parametrize("pixels", [GREY.astype(np.int32), GREY.astype(bool), np.zeros((4, 4, 4), np.uint8), GREY[:0]])
def test_png_refuses_what_it_cannot_hold(pixels):
    with pytest.raises(UnusableImageError, match="PNG"):
        encode_png(pixels)


def test_png_takes_pixels_that_are_not_contiguous_or_of_the_other_byte_order():
    np.testing.assert_array_equal(decode_image(encode_png(COLOUR[::2, ::-1])).pixels, COLOUR[::2, ::-1])
    wide = GREY.astype(">u2") * 200
    np.testing.assert_array_equal(decode_image(encode_png(wide)).pixels, wide)
