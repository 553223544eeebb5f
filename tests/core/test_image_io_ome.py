import io

import numpy as np
import pytest
import tifffile

from monolayer_core.errors import AmbiguousAxesError, OptionError, TruncatedImageError, UnusableImageError
from monolayer_core.image_io import ChosenPlane, ReadOptions, decode_image, read_header

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


@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strips", "tiles"])
def test_of_a_pyramid_of_stacks_the_full_resolution_is_read(tile):
    planes = RANDOM.integers(0, 60_000, (2, 3, 48, 64)).astype(np.uint16)
    options = {"photometric": "minisblack", "tile": tile, "compression": "zlib"}
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True, bigtiff=True) as writer:
        writer.write(planes, subifds=2, metadata={"axes": "CZYX"}, **options)
        writer.write(planes[:, :, ::2, ::2], subfiletype=1, **options)
        writer.write(planes[:, :, ::4, ::4], subfiletype=1, **options)
    assert read_header(stream.getvalue()).axes == "TCZYX"
    for channel, z in np.ndindex(2, 3):
        image = decode_image(stream.getvalue(), ReadOptions(channel=channel, z=z))
        np.testing.assert_array_equal(image.pixels, planes[channel, z])


def in_set(*files: tuple[str, str], own: str | None = "urn:uuid:1", **sizes: object) -> str:
    """OME-XML of a set of files: for each its UUID and the attributes of its TiffData element."""
    places = "".join(
        f'<TiffData {place}><UUID FileName="{uuid[-1]}.ome.tif"> {uuid} </UUID></TiffData>' for uuid, place in files
    )
    xml = ome_xml(places, **sizes)
    return xml if own is not None else xml.replace(' UUID="urn:uuid:1"', "")


def test_of_a_set_of_files_the_planes_of_this_one_are_read_and_others_named():
    xml = in_set(("urn:uuid:1", 'IFD="0" PlaneCount="12"'), ("urn:uuid:2", 'FirstT="1" IFD="0" PlaneCount="12"'))
    encoded = with_description(xml, PLANES[:12])
    for channel, z in np.ndindex(3, 4):
        image = decode_image(encoded, ReadOptions(t=0, channel=channel, z=z))
        np.testing.assert_array_equal(image.pixels, STACK[0, channel, z])
    with pytest.raises(UnusableImageError, match=r"another file of a set, '2\.ome\.tif': send that file"):
        decode_image(encoded, ReadOptions(t=1, channel=0, z=0))
    with pytest.raises(OptionError, match="t=2 is outside"):
        decode_image(encoded, ReadOptions(t=2, channel=0, z=0))


@pytest.mark.parametrize(
    ("here", "places", "fixed"),
    [
        ('FirstT="1" IFD="0" PlaneCount="12"', ['IFD="0" PlaneCount="12"'], {"t": 1}),
        ('FirstT="1" FirstC="2" FirstZ="3" IFD="0"', ['IFD="0"'], {"t": 1, "channel": 2, "z": 3}),
        ('FirstC="1" IFD="0" PlaneCount="4"', ['IFD="0" PlaneCount="4"'], {"t": 0, "channel": 1}),
        ('FirstZ="1" IFD="0" PlaneCount="4"', ['IFD="0" PlaneCount="1"'], {"t": 0}),
    ],
    ids=["a time point", "a plane", "a channel of a time point", "planes of two channels"],
)
def test_where_a_file_of_a_set_holds_one_index_alone_it_need_not_be_said(here, places, fixed):
    xml = in_set(("urn:uuid:1", here), *(("urn:uuid:2", place) for place in places))
    encoded = with_description(xml, PLANES[:12])
    rest = {"t": 0, "channel": 1, "z": 0} if fixed == {"t": 0} else {"channel": 1, "z": 0}
    said = {name: index for name, index in rest.items() if name not in fixed}
    plane = decode_image(encoded, ReadOptions(**said)).plane
    assert {name: getattr(plane, name) for name in fixed} == fixed
    for name in said:
        with pytest.raises(AmbiguousAxesError, match=f"choose one with {name}=0"):
            decode_image(encoded, ReadOptions(**{other: index for other, index in said.items() if other != name}))


def test_one_channel_of_every_time_point_may_be_all_a_file_of_a_set_holds():
    here = [f'FirstT="{t}" FirstC="1" IFD="{4 * t}" PlaneCount="4"' for t in range(2)]
    xml = in_set(*(("urn:uuid:1", place) for place in here), ("urn:uuid:2", 'IFD="0" PlaneCount="4"'))
    encoded = with_description(xml, PLANES[:8])
    image = decode_image(encoded, ReadOptions(t=1, z=2))
    assert image.plane == ChosenPlane(t=1, channel=1, z=2)
    np.testing.assert_array_equal(image.pixels, PLANES[6])


def test_a_file_that_does_not_say_which_of_a_set_it_is_is_refused_and_an_only_one_is_read():
    one = with_description(in_set(("urn:uuid:1", 'IFD="0" PlaneCount="24"'), own=None))
    np.testing.assert_array_equal(decode_image(one, ReadOptions(t=1, channel=2, z=3)).pixels, PLANES[23])
    places = ("urn:uuid:1", 'IFD="0" PlaneCount="12"'), ("urn:uuid:2", 'FirstT="1" IFD="0" PlaneCount="12"')
    with pytest.raises(UnusableImageError, match=r"1\.ome\.tif"):
        decode_image(with_description(in_set(*places, own=None)), ReadOptions(t=0, channel=0, z=0))


def test_planes_whose_description_stands_in_another_file_are_a_plain_stack():
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<BinaryOnly MetadataFile="plate.companion.ome" UUID="urn:uuid:2"/></OME>'
    )
    encoded = with_description(xml, PLANES[:3])
    assert read_header(encoded).axes == "QYX"
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(z=2)).pixels, PLANES[2])
    np.testing.assert_array_equal(decode_image(with_description(xml, PLANES[:1])).pixels, PLANES[0])


@pytest.mark.parametrize("count", [1, 23, 25, 10**9])
def test_a_wrong_number_of_planes_does_no_harm_to_those_that_are_there(count):
    encoded = with_description(ome_xml(f'<TiffData IFD="0" PlaneCount="{count}"/>'))
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(t=0, channel=0, z=0)).pixels, PLANES[0])
    last = ReadOptions(t=1, channel=2, z=3)
    if count < 24:
        with pytest.raises(TruncatedImageError, match="no page"):
            decode_image(encoded, last)
    else:
        np.testing.assert_array_equal(decode_image(encoded, last).pixels, PLANES[23])


def test_where_runs_of_planes_overlap_the_plane_is_found_in_one_that_holds_it():
    places = '<TiffData IFD="0" PlaneCount="24"/><TiffData FirstZ="2" IFD="20" PlaneCount="1"/>'
    encoded = with_description(ome_xml(places))
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(t=0, channel=0, z=3)).pixels, PLANES[3])
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(t=0, channel=0, z=1)).pixels, PLANES[1])


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
