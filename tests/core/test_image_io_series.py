"""OME-TIFF with several images: the one that is chosen is read, and none where none is."""

import io

import numpy as np
import pytest
import tifffile

from monolayer_core.errors import (
    AmbiguousAxesError,
    ImageTooLargeError,
    OptionError,
    TruncatedImageError,
    UnusableImageError,
)
from monolayer_core.image_io import ImageLimits, ReadOptions, decode_image, encode_png, open_image, read_header
from monolayer_core.row_source import ArrayRows

RANDOM = np.random.default_rng(3)
FIELD = RANDOM.integers(0, 60_000, (2, 24, 20)).astype(np.uint16)  # C, Y, X
SLIDE = RANDOM.integers(0, 256, (70, 53, 3)).astype(np.uint8)
STACK = RANDOM.integers(0, 256, (4, 30, 40)).astype(np.uint8)  # Z, Y, X


def several(**options: object) -> bytes:
    """Three images of other sizes, types, axes and sizes of a pixel."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        names = {"Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        writer.write(FIELD, photometric="minisblack", metadata={"axes": "CYX", "Name": "field", **names}, **options)
        writer.write(SLIDE, photometric="rgb", metadata={"axes": "YXS", "Name": "slide"}, **options)
        sizes = {"PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
        writer.write(STACK, photometric="minisblack", metadata={"axes": "ZYX", "Name": "stack", **sizes}, **options)
    return stream.getvalue()


def xml(*images: str, own: str | None = None) -> str:
    uuid = "" if own is None else f' UUID="{own}"'
    return f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{uuid}>{"".join(images)}</OME>'


def described(name: str | None, *places: str, z: int = 1) -> str:
    pixels = f'DimensionOrder="XYZCT" Type="uint16" SizeX="20" SizeY="24" SizeZ="{z}" SizeC="1" SizeT="1"'
    called = "" if name is None else f' Name="{name}"'
    return f"<Image{called}><Pixels {pixels}>{''.join(places)}</Pixels></Image>"


def place(page: int | None = 0, file: str | None = None, count: int = 1) -> str:
    attributes = "" if page is None else f' IFD="{page}" PlaneCount="{count}"'
    uuid = "" if file is None else f'<UUID FileName="x_{file}.ome.tif">urn:uuid:{file}</UUID>'
    return f"<TiffData{attributes}>{uuid}</TiffData>"


def with_text(text: str, planes: np.ndarray = FIELD) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for number, plane in enumerate(planes):
            said = text.encode() if number == 0 else None
            writer.write(plane, description=said, metadata=None, contiguous=False, photometric="minisblack")
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "rowsperstrip": 8}, {"tile": (16, 16)}])
def test_each_image_is_read_with_its_own_size_type_axes_and_size_of_a_pixel(options):
    encoded = several(**options)
    for series in (0, "field"):
        field = decode_image(encoded, ReadOptions(series=series, channel="GFP"))
        np.testing.assert_array_equal(field.pixels, FIELD[1])
        assert (field.axes, field.pixel_size_um) == ("TZCYX", 0.5)
        assert (field.plane.series, field.plane.series_name, field.plane.channel) == (0, "field", 1)
    for series in (1, "slide"):
        slide = decode_image(encoded, ReadOptions(series=series))
        np.testing.assert_array_equal(slide.pixels, SLIDE)
        assert (slide.plane.series, slide.plane.series_name, slide.pixel_size_um) == (1, "slide", None)
    for series in (2, "stack"):
        highest = decode_image(encoded, ReadOptions(series=series, z="max"))
        np.testing.assert_array_equal(highest.pixels, STACK.max(axis=0))
        assert (highest.plane.series, highest.plane.z, highest.pixel_size_um) == (2, "max", 0.25)
        for z in range(4):
            np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series=series, z=z)).pixels, STACK[z])
    header = read_header(encoded, ReadOptions(series="slide"))
    assert (header.height, header.width, header.dtype) == (70, 53, "uint8")


@pytest.mark.parametrize("options", [{"compression": "zlib", "rowsperstrip": 8}, {"tile": (16, 16)}])
def test_the_chosen_image_is_read_by_rows(options):
    encoded = several(**options)
    for series, choice, expected in ((1, {}, SLIDE), (2, {"z": 3}, STACK[3]), (2, {"z": "max"}, STACK.max(axis=0))):
        rows = open_image(encoded, ReadOptions(series=series, **choice)).rows
        assert not isinstance(rows, ArrayRows)
        for start, stop in ((0, 3), (7, 19), (rows.height - 2, rows.height)):
            np.testing.assert_array_equal(rows.read(slice(start, stop)), expected[start:stop])


def test_without_a_choice_all_are_named():
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(several())
    assert str(caught.value) == "the file holds 3 images: choose one with series=0..2 or by name: field, slide, stack"
    with pytest.raises(AmbiguousAxesError, match=r"choose one with series=0\.\.2 or by name"):
        read_header(several())


def test_limits_are_those_of_the_chosen_image():
    limits = ImageLimits(max_pixels=1000)
    assert decode_image(several(), ReadOptions(series=0, channel=0), limits).rows.height == 24
    with pytest.raises(ImageTooLargeError, match="70 x 53"):
        decode_image(several(), ReadOptions(series=1), limits)


@pytest.mark.parametrize("wanted", [3, "Slide", "", 17])
def test_what_is_no_image_is_refused_with_those_that_are(wanted):
    with pytest.raises(OptionError) as caught:
        decode_image(several(), ReadOptions(series=wanted))
    assert str(caught.value) == (
        f"the file has no image series={wanted}: it holds 3 images, series=0..2 or by name: field, slide, stack"
    )


def test_a_number_is_an_index_and_otherwise_a_name():
    encoded = with_text(xml(described("1", place(0)), described("488", place(1))))
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series=1)).pixels, FIELD[1])
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series=488)).pixels, FIELD[1])
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series="1")).pixels, FIELD[0])


def test_a_name_of_several_images_chooses_none():
    encoded = with_text(xml(described("a", place(0)), described("a", place(1)), described("b", place(1))))
    with pytest.raises(AmbiguousAxesError, match=r"2 images of the name 'a': choose one with series=0, 1$"):
        decode_image(encoded, ReadOptions(series="a"))
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series="b")).pixels, FIELD[1])


def test_images_without_names_are_numbered():
    encoded = with_text(xml(described(None, place(0)), described(None, place(1))))
    with pytest.raises(AmbiguousAxesError, match=r"choose one with series=0\.\.1$"):
        decode_image(encoded)
    image = decode_image(encoded, ReadOptions(series=1))
    assert (image.plane.series, image.plane.series_name) == (1, None)
    np.testing.assert_array_equal(image.pixels, FIELD[1])


def test_many_images_are_listed_in_part():
    images = [described(f"{number:03} " + "x" * 100, place(0)) for number in range(300)]
    with pytest.raises(AmbiguousAxesError, match="300 images") as caught:
        decode_image(with_text(xml(*images)))
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize(
    "encoded",
    [encode_png(SLIDE), with_text(xml(described("Pos0", place(0)))), with_text("ImageJ=1.11a\n", FIELD[:1])],
    ids=["png", "ome", "imagej"],
)
def test_of_a_file_with_one_image_the_first_may_be_asked_for_and_no_other(encoded):
    choice = {"channel": 0, "z": 0} if not encoded.startswith(b"\x89PNG") else {"channel": 0}
    image = decode_image(encoded, ReadOptions(series=0, **choice))
    assert (image.plane.series, image.plane.series_name) == (None, None)
    for other in (1, "Pos1"):
        with pytest.raises(OptionError, match=rf"no image series={other}: it holds 1 image, series=0"):
            decode_image(encoded, ReadOptions(series=other, **choice))


def test_a_file_of_a_set_is_read_as_the_image_that_lies_in_it():
    images = [described(f"Pos{number}", place(0, f"Pos{number}", 2), z=2) for number in range(3)]
    for number in range(3):
        encoded = with_text(xml(*images, own=f"urn:uuid:Pos{number}"), FIELD + number)
        for series in (None, number, f"Pos{number}"):
            image = decode_image(encoded, ReadOptions(series=series, z=1))
            np.testing.assert_array_equal(image.pixels, FIELD[1] + number)
            assert (image.plane.series, image.plane.series_name) == (number, f"Pos{number}")
    with pytest.raises(UnusableImageError) as caught:
        decode_image(encoded, ReadOptions(series="Pos0", z=1))
    assert str(caught.value) == (
        "the image series=Pos0 lies in another file of a set, 'x_Pos0.ome.tif': send that file"
    )
    with pytest.raises(UnusableImageError, match=r"'x_Pos1\.ome\.tif': send that file"):
        decode_image(encoded, ReadOptions(series=1, z=1))


def test_of_a_set_those_that_are_here_are_offered_by_their_numbers():
    images = [described("a", place(0, "F1")), described("b", place(0, "F2")), described("c", place(1, "F2"))]
    encoded = with_text(xml(*images, own="urn:uuid:F2"))
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(encoded)
    assert str(caught.value) == "the file holds 2 images: choose one with series=1, 2 or by name: b, c"
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series=2)).pixels, FIELD[1])


def test_a_file_that_does_not_say_which_of_a_set_it_is_is_read_on_the_callers_word():
    encoded = with_text(xml(described("Pos0", place(0, "Pos0")), described("Pos1", place(1, "Pos1"))))
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(encoded)
    assert str(caught.value) == (
        "the OME-XML describes 2 images and does not say which file of a set this is: "
        "say which one it holds with series=0..1 or by name: Pos0, Pos1"
    )
    for number in range(2):
        np.testing.assert_array_equal(decode_image(encoded, ReadOptions(series=number)).pixels, FIELD[number])


def test_images_none_of_which_lies_here_are_refused():
    images = [described("Pos0", place(0, "Pos0")), described("Pos1", place(0, "Pos1"))]
    with pytest.raises(UnusableImageError, match=r"none of its 2 images in this file.* such as 'x_Pos0\.ome\.tif'"):
        decode_image(with_text(xml(*images, own="urn:uuid:other")), ReadOptions(series=0))
    with pytest.raises(UnusableImageError, match=r"none of its 2 images in this file$"):
        decode_image(with_text(xml(described("a"), described("b"))))


def test_images_that_say_nothing_of_planes_here_do_not_count():
    empty = [described("no place"), described("no plane", place(0, count=0)), "<Image/>"]
    encoded = with_text(xml(empty[0], described("field", place(1)), *empty[1:]))
    image = decode_image(encoded)
    np.testing.assert_array_equal(image.pixels, FIELD[1])
    assert (image.plane.series, image.plane.series_name) == (1, "field")
    with pytest.raises(UnusableImageError, match="series=0 lies in another file; this one holds series=1 or by name"):
        decode_image(encoded, ReadOptions(series=0))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (xml(described("a", place(0)), described("b", place(9))), TruncatedImageError),
        (xml(described("a", place(0)), described("b", place(-1))), TruncatedImageError),
        (xml(described("a", place(0)), described("b", '<TiffData PlaneCount="many"/>')), TruncatedImageError),
        (xml(described("a", place(0)), described("b", place(1)).replace("SizeZ", "SizeQ")), TruncatedImageError),
        (xml(described("a", place(0)), described("b", place(1)).replace('X="20"', 'X="21"')), UnusableImageError),
    ],
    ids=["page beyond the end", "negative page", "no number", "no size", "another size"],
)
def test_a_description_that_does_not_fit_is_refused(text, error):
    with pytest.raises(error):
        decode_image(with_text(text), ReadOptions(series=1))


def test_what_is_wrong_with_another_image_does_no_harm():
    broken = described("b", place(1)).replace("SizeZ", "SizeQ")
    np.testing.assert_array_equal(
        decode_image(with_text(xml(described("a", place(0)), broken)), ReadOptions(series=0)).pixels, FIELD[0]
    )
