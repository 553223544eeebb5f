import io

import numpy as np
import pytest
import tifffile

from monolayer_core.errors import AmbiguousAxesError, OptionError, TruncatedImageError, UnusableImageError
from monolayer_core.image_io import ReadOptions, decode_image, read_header

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 60_000, (2, 3, 4, 12, 10)).astype(np.uint16)  # T, C, Z, Y, X
PLANES = STACK.reshape(-1, 12, 10)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def ome_xml(inside: str = "<TiffData/>", **pixels: object) -> str:
    values = {"DimensionOrder": "XYZCT", "SizeX": 10, "SizeY": 12, "SizeZ": 4, "SizeC": 3, "SizeT": 2, "Type": "uint16"}
    attributes = " ".join(f'{name}="{value}"' for name, value in (values | pixels).items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="urn:uuid:1"><Image ID="Image:0"><Pixels ID="Pixels:0" {attributes}>{inside}</Pixels></Image></OME>'
    )


def with_description(description: str, planes: np.ndarray = PLANES) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for number, plane in enumerate(planes):
            text = description.encode() if number == 0 else None
            writer.write(plane, description=text, metadata=None, contiguous=False, photometric="minisblack")
    return stream.getvalue()


def test_every_plane_of_an_ome_tiff_is_found():
    encoded = tiff(STACK, ome=True, photometric="minisblack", metadata={"axes": "TCZYX"}, compression="zlib")
    assert (read_header(encoded).axes, read_header(encoded).shape) == ("TCZYX", (2, 3, 4, 12, 10))
    for t, channel, z in np.ndindex(2, 3, 4):
        image = decode_image(encoded, ReadOptions(t=t, channel=channel, z=z))
        np.testing.assert_array_equal(image.pixels, STACK[t, channel, z])


@pytest.mark.parametrize("order", ["XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTCZ", "XYTZC"])
def test_every_order_of_dimensions_is_understood(order):
    axes = order[:1:-1]  # the slowest first, without X and Y
    planes = STACK.transpose(*("TCZ".index(letter) for letter in axes), 3, 4).reshape(-1, 12, 10)
    encoded = with_description(ome_xml(DimensionOrder=order), planes)
    for t, channel, z in ((0, 0, 0), (1, 0, 3), (0, 2, 1), (1, 2, 3)):
        image = decode_image(encoded, ReadOptions(t=t, channel=channel, z=z))
        np.testing.assert_array_equal(image.pixels, STACK[t, channel, z])


def test_planes_may_lie_on_any_page():
    places = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="{z}" IFD="{23 - (t * 12 + c * 4 + z)}" PlaneCount="1"/>'
        for t, c, z in np.ndindex(2, 3, 4)
    )
    encoded = with_description(ome_xml(places))
    image = decode_image(encoded, ReadOptions(t=0, channel=0, z=1))
    np.testing.assert_array_equal(image.pixels, PLANES[22])


def test_one_element_may_stand_for_a_run_of_planes():
    encoded = with_description(
        ome_xml('<TiffData FirstT="1" IFD="0" PlaneCount="12"/><TiffData IFD="12" PlaneCount="12"/>')
    )
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(t=1, channel=2, z=3)).pixels, PLANES[11])
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(t=0, channel=0, z=1)).pixels, PLANES[13])


def test_a_single_plane_needs_no_choice():
    encoded = tiff(PLANES[5], ome=True, photometric="minisblack", metadata={"axes": "YX"})
    np.testing.assert_array_equal(decode_image(encoded).pixels, PLANES[5])


def test_what_is_missing_is_named():
    encoded = with_description(ome_xml())
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(encoded, ReadOptions(z=0))
    assert str(caught.value) == (
        "the image has 2 time points: choose one with t=0..1; the image has 3 channels: choose one with channel=0..2"
    )
    with pytest.raises(OptionError, match="channel=3"):
        decode_image(encoded, ReadOptions(z=0, t=0, channel=3))


def test_a_film_that_was_stopped_gives_the_planes_that_are_there():
    encoded = with_description(ome_xml(SizeT=10**15))
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(t=1, channel=2, z=3)).pixels, PLANES[23])
    with pytest.raises(TruncatedImageError, match="page 24 of 24"):
        decode_image(encoded, ReadOptions(t=2, channel=0, z=0))


def test_rgb_in_an_ome_tiff_is_rgb():
    colour = RANDOM.integers(0, 256, (2, 12, 10, 3)).astype(np.uint8)
    encoded = tiff(colour, ome=True, photometric="rgb", metadata={"axes": "ZYXS"})
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(z=1)).pixels, colour[1])


def test_samples_that_are_no_colours_are_channels():
    samples = RANDOM.integers(0, 256, (12, 10, 3)).astype(np.uint8)
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        xml = ome_xml('<Channel SamplesPerPixel="3"/><TiffData/>', SizeZ=1, SizeT=1)
        writer.write(samples, description=xml.encode(), metadata=None, photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(decode_image(stream.getvalue(), ReadOptions(channel=1)).pixels, samples[..., 1])


def test_pyramid_levels_are_not_taken_for_planes():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        writer.write(PLANES[0], subifds=1, metadata={"axes": "YX"}, photometric="minisblack")
        writer.write(PLANES[0, ::2, ::2], subfiletype=1, photometric="minisblack")
    np.testing.assert_array_equal(decode_image(stream.getvalue()).pixels, PLANES[0])


@pytest.mark.parametrize(
    ("xml", "error"),
    [
        (ome_xml('<TiffData IFD="99" PlaneCount="24"/>'), TruncatedImageError),
        (ome_xml('<TiffData IFD="-1" PlaneCount="24"/>'), TruncatedImageError),
        (ome_xml('<TiffData FirstT="1" IFD="0" PlaneCount="12"/>'), TruncatedImageError),
        (ome_xml('<TiffData><UUID FileName="/etc/passwd">urn:uuid:2</UUID></TiffData>'), UnusableImageError),
        (ome_xml(SizeX=11), UnusableImageError),
        (ome_xml(SizeC=0), TruncatedImageError),
        (ome_xml(SizeC="many"), TruncatedImageError),
        (ome_xml(DimensionOrder="XYZZZ"), TruncatedImageError),
        (ome_xml('<Channel SamplesPerPixel="2"/><TiffData/>'), TruncatedImageError),
        (ome_xml().replace("Image", "Plate"), UnusableImageError),
        (ome_xml()[:200] + "</OME>", TruncatedImageError),
        ('<!DOCTYPE o [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>' + ome_xml()[38:], UnusableImageError),
    ],
    ids=[
        "page beyond the end",
        "negative page",
        "plane nowhere",
        "plane in another file",
        "another size",
        "no channels",
        "no number",
        "no order",
        "odd samples",
        "no image",
        "cut",
        "entities",
    ],
)
def test_a_description_that_does_not_fit_is_refused(xml, error):
    with pytest.raises(error):
        decode_image(with_description(xml), ReadOptions(t=0, channel=0, z=0))


@pytest.mark.parametrize(
    "inside", ["<a/>" * (2**20 + 1), "<a " + " ".join(f'a{i}=""' for i in range(2**21)) + "/>"], ids=["tags", "values"]
)
def test_more_markup_than_any_file_needs_is_refused_before_it_is_parsed(monkeypatch, inside):
    monkeypatch.setattr("xml.etree.ElementTree.fromstring", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(UnusableImageError, match="elements"):
        read_header(with_description(ome_xml("<TiffData/>" + inside)))


def test_what_a_damaged_description_says_is_not_repeated():
    with pytest.raises(TruncatedImageError) as caught:
        read_header(with_description(ome_xml(SizeX="q" * 10_000)))
    assert "q" * 10 not in str(caught.value)
