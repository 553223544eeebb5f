"""Which plane of a stack is read: any order of axes, channels by name, the maximum of z planes."""

import io
import tracemalloc

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
from monolayer_core.image_formats import axes as axes_module
from monolayer_core.image_io import ChosenPlane, ReadOptions, decode_image, open_image, read_header
from monolayer_core.row_source import whole

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 60_000, (4, 3, 30, 20)).astype(np.uint16)  # Z, C, Y, X
NAMES = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP", "561"]}}
OPTION_OF = {"T": "t", "C": "channel", "Z": "z"}


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def pages(*arrays: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for array in arrays:
            writer.write(array, metadata=None, contiguous=False, **options)
    return stream.getvalue()


def cut_out(array: np.ndarray, axes: str, chosen: dict[str, int | str]) -> np.ndarray:
    """The plane in a slow and obvious way, as (y, x) or (y, x, sample)."""
    for letter, position in chosen.items():
        axis = axes.index(letter)
        array = array.max(axis=axis) if position == "max" else array.take(position, axis=axis)
        axes = axes.replace(letter, "")
    return array.transpose([axes.index(letter) for letter in "YXS" if letter in axes])


def arrays(data: st.DataObject, shape: tuple[int, ...]) -> np.ndarray:
    dtype = data.draw(st.sampled_from(["u1", "u2", "u4", "i2", "i4", "f4", "f8"]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    low = 0 if dtype.startswith("u") else -100
    return random.integers(low, 120, shape).astype(dtype)


def positions(data: st.DataObject, axes: str, shape: tuple[int, ...]) -> dict[str, int | str]:
    lengths = dict(zip(axes, shape, strict=True))
    return {
        letter: "max" if letter == "Z" and data.draw(st.booleans()) else data.draw(st.integers(0, lengths[letter] - 1))
        for letter in "TCZ"
        if letter in axes
    }


def check(encoded: bytes, expected: np.ndarray, options: ReadOptions) -> None:
    image = decode_image(encoded, options)
    assert image.pixels.dtype == expected.dtype.newbyteorder("=")
    assert image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(image.pixels, expected)
    np.testing.assert_array_equal(whole(open_image(encoded, options).rows), expected)
    rows = open_image(encoded, options).rows
    for top in range(0, len(expected), 5):
        np.testing.assert_array_equal(rows.read(slice(top, min(top + 5, len(expected)))), expected[top : top + 5])


@pytest.mark.parametrize("kind", ["tifffile", "ome"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_plane_of_any_tiff_stack_is_that_of_the_array(kind, data):
    outer = "".join(data.draw(st.permutations("TCZ")))
    outer = outer if kind == "ome" else outer[: data.draw(st.integers(1, 3))]
    is_colour = "C" not in outer and data.draw(st.booleans())
    axes = outer + ("YXS" if is_colour else "YX")
    lengths = {letter: data.draw(st.integers(1 if kind == "ome" else 2, 4)) for letter in outer}
    shape = (*lengths.values(), data.draw(st.integers(2, 19)), data.draw(st.integers(2, 19)), *([3] * is_colour))
    array = arrays(data, shape)
    tiled = data.draw(st.booleans())
    encoded = tiff(
        array,
        ome=kind == "ome",
        metadata={"axes": axes},
        photometric="rgb" if is_colour else "minisblack",
        compression=data.draw(st.sampled_from([None, "zlib", "lzw", "zstd"])),
        tile=(16, 16) if tiled else None,
        rowsperstrip=None if tiled else data.draw(st.sampled_from([1, 4, 99])),
        byteorder=data.draw(st.sampled_from("<>")),
        bigtiff=data.draw(st.booleans()),
    )
    chosen = positions(data, axes, shape)
    options = ReadOptions(**{OPTION_OF[letter]: position for letter, position in chosen.items()})
    check(encoded, cut_out(array, axes, chosen), options)


@pytest.mark.parametrize("truncate", [False, True], ids=["a page each", "all planes behind one page"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_plane_of_any_imagej_hyperstack_is_that_of_the_array(truncate, data):
    shape = (*(data.draw(st.integers(1, 4)) for _ in "TZC"), data.draw(st.integers(2, 9)), 7)
    array = arrays(data, shape)
    array = array.astype({"u4": "f4", "i2": "u2", "i4": "f4", "f8": "f4"}.get(array.dtype.str[1:], array.dtype))
    encoded = tiff(
        array, imagej=True, metadata={"axes": "TZCYX"}, truncate=truncate, byteorder=data.draw(st.sampled_from("<>"))
    )
    chosen = positions(data, "TZCYX", shape)
    options = ReadOptions(**{OPTION_OF[letter]: position for letter, position in chosen.items()})
    check(encoded, cut_out(array, "TZCYX", chosen), options)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_plane_of_any_array_whose_axes_are_named_is_that_of_the_array(data):
    letters = "YX" + "".join(data.draw(st.sets(st.sampled_from("TCZ"))))
    axes = "".join(data.draw(st.permutations(letters)))
    shape = tuple(data.draw(st.integers(1, 5)) for _ in axes)
    array = arrays(data, shape)
    if data.draw(st.booleans()):
        array = array.astype(array.dtype.newbyteorder(">"))
    chosen = positions(data, axes, shape)
    options = ReadOptions(axes=axes, **{OPTION_OF[letter]: position for letter, position in chosen.items()})
    check(npy(array), cut_out(array, axes, chosen), options)


def test_a_plain_stack_whose_maximum_is_asked_for_is_one_of_z_planes():
    encoded = pages(*STACK[:, 0], compression="zlib")
    image = decode_image(encoded, ReadOptions(z="max"))
    assert (image.axes, image.plane) == ("ZYX", ChosenPlane(z="max"))
    np.testing.assert_array_equal(image.pixels, STACK[:, 0].max(axis=0))


def test_the_maximum_of_colours_is_that_of_each():
    colours = RANDOM.integers(0, 256, (3, 30, 20, 4)).astype(np.uint8)
    encoded = tiff(colours, photometric="rgb", extrasamples=["unassalpha"], metadata={"axes": "ZYXS"})
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(z="max")).pixels, colours.max(axis=0)[..., :3])
    one = decode_image(encoded, ReadOptions(z="max", channel=2))
    np.testing.assert_array_equal(one.pixels, colours.max(axis=0)[..., 2])


def test_the_maximum_is_that_of_values_where_white_is_zero_and_of_bits():
    white = tiff(STACK[:, 0], photometric="miniswhite", metadata={"axes": "ZYX"}, compression="zlib")
    np.testing.assert_array_equal(decode_image(white, ReadOptions(z="max")).pixels, 65_535 - STACK[:, 0].min(axis=0))
    mask = STACK[:, 0] > 30_000
    bits = tiff(mask, photometric="minisblack", metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(decode_image(bits, ReadOptions(z="max")).pixels, mask.any(axis=0) * np.uint8(255))
    stored = ReadOptions(axes="ZYX", z="max")
    np.testing.assert_array_equal(decode_image(npy(mask), stored).pixels, mask.any(axis=0) * np.uint8(255))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_maximum_of_values_that_are_no_numbers_is_refused(value):
    stack = STACK[:, 0].astype(np.float32)
    stack[2, 5, 5] = value
    for encoded, options in (
        (tiff(stack, photometric="minisblack", metadata={"axes": "ZYX"}), ReadOptions(z="max")),
        (npy(stack), ReadOptions(axes="ZYX", z="max")),
    ):
        with pytest.raises(UnusableImageError, match="NaN"):
            decode_image(encoded, options)


def test_where_there_is_one_z_plane_the_maximum_is_that_plane():
    one = tiff(STACK[:1, 0], photometric="minisblack", metadata={"axes": "ZYX"}, ome=True)
    image = decode_image(one, ReadOptions(z="max"))
    np.testing.assert_array_equal(image.pixels, STACK[0, 0])
    assert image.plane == ChosenPlane(t=0, channel=0, z=0)
    none = decode_image(npy(STACK[0, 0]), ReadOptions(z="max"))
    np.testing.assert_array_equal(none.pixels, STACK[0, 0])
    assert none.plane == ChosenPlane()


def test_the_maximum_of_more_planes_than_admitted_is_refused(monkeypatch):
    monkeypatch.setattr(axes_module, "MAX_PROJECTED", 3)
    with pytest.raises(ImageTooLargeError, match="4 z planes"):
        decode_image(npy(STACK[:, 0]), ReadOptions(axes="ZYX", z="max"))
    assert decode_image(npy(STACK[:3, 0]), ReadOptions(axes="ZYX", z="max")).channels == 1


def test_a_plane_that_is_missing_or_damaged_is_missed_in_the_maximum():
    encoded = pages(*STACK[:, 0], compression="zlib")
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        offset, length = file.pages[2].dataoffsets[0], file.pages[2].databytecounts[0]
    damaged = encoded[:offset] + bytes(length) + encoded[offset + length :]
    with pytest.raises(TruncatedImageError):
        decode_image(damaged, ReadOptions(z="max"))
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        place = file.pages[2].tags[273].valueoffset
    lost = encoded[:place] + b"\xff\xff\xff\x7f" + encoded[place + 4 :]
    with pytest.raises(TruncatedImageError):
        open_image(lost, ReadOptions(z="max"))
    np.testing.assert_array_equal(decode_image(lost, ReadOptions(z=1)).pixels, STACK[1, 0])


@pytest.mark.parametrize("at_once_px", [0, 10**9], ids=["by rows", "at once"])
@pytest.mark.parametrize("options", [{"tile": (256, 256)}, {"rowsperstrip": 64}], ids=["tiles", "strips"])
def test_the_memory_of_a_maximum_does_not_grow_with_the_number_of_planes(at_once_px, options):
    """And that of one plane of many is that of one."""
    side, count = 1024, 24
    planes = np.zeros((count, side, side), np.uint8)
    planes[np.arange(count), np.arange(count), np.arange(count)] = 200
    encoded = tiff(planes, photometric="minisblack", metadata={"axes": "ZYX"}, compression="zlib", **options)
    expected = planes.max(axis=0)
    peaks = {}
    for z in ("max", 3):
        tracemalloc.start()
        rows = open_image(encoded, ReadOptions(z=z), at_once_px=at_once_px).rows
        tops = range(0, side, 256)
        sums = [int(rows.read(slice(top, top + 256)).sum()) for top in tops]
        peaks[z] = tracemalloc.get_traced_memory()[1] / side**2
        tracemalloc.stop()
        wanted = expected if z == "max" else planes[z]
        assert sums == [int(wanted[top : top + 256].sum()) for top in tops]
    assert peaks["max"] < (4 if at_once_px else 1.6)
    assert peaks[3] < (3 if at_once_px else 1.3)


@pytest.mark.parametrize("at_once_px", [0, 10**9], ids=["by rows", "at once"])
def test_a_maximum_that_is_not_wanted_any_more_is_left_between_planes(at_once_px, monkeypatch):
    encoded = pages(*STACK[:, 0], compression="zlib")
    asked = []

    def still_wanted() -> None:
        asked.append(None)
        if len(asked) > limit:
            raise TimeoutError

    limit = 10**9
    rows = open_image(encoded, ReadOptions(z="max"), at_once_px=at_once_px, still_wanted=still_wanted).rows
    np.testing.assert_array_equal(whole(rows), STACK[:, 0].max(axis=0))
    limit = len(asked) - 1
    asked.clear()
    with pytest.raises(TimeoutError):
        whole(open_image(encoded, ReadOptions(z="max"), at_once_px=at_once_px, still_wanted=still_wanted).rows)


def test_a_channel_may_be_called_by_its_name():
    encoded = tiff(STACK, ome=True, photometric="minisblack", metadata=NAMES)
    for index, name in enumerate(["DAPI", "GFP", "561"]):
        image = decode_image(encoded, ReadOptions(channel=name, z=1))
        np.testing.assert_array_equal(image.pixels, STACK[1, index])
        assert image.plane == ChosenPlane(t=0, channel=index, channel_name=name, z=1)
    by_index = decode_image(encoded, ReadOptions(channel=0, z=1))
    assert by_index.plane.channel_name == "DAPI"


def test_a_number_is_an_index_and_otherwise_a_name():
    names = {"axes": "CYX", "Channel": {"Name": ["1", "0", "561"]}}
    encoded = tiff(STACK[0], ome=True, photometric="minisblack", metadata=names)
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(channel=1)).pixels, STACK[0, 1])
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(channel=561)).pixels, STACK[0, 2])


def test_what_is_no_channel_is_refused_with_the_names_of_those_that_are():
    encoded = tiff(STACK, ome=True, photometric="minisblack", metadata=NAMES)
    with pytest.raises(OptionError) as caught:
        decode_image(encoded, ReadOptions(channel="dapi", z=0))
    assert str(caught.value) == (
        "the image has no channel 'dapi': its channels are DAPI, GFP, 561; choose one with channel=0..2"
    )
    with pytest.raises(OptionError) as caught:
        decode_image(encoded, ReadOptions(channel=3, z=0))
    assert str(caught.value) == "channel=3 is outside the image, which has 3 channels: DAPI, GFP, 561"
    with pytest.raises(AmbiguousAxesError) as missing:
        decode_image(encoded, ReadOptions(z=0))
    assert str(missing.value) == "the image has 3 channels: choose one with channel=0..2 or by name: DAPI, GFP, 561"
    with pytest.raises(OptionError, match="no channel 'DAPI': its channels have no names; choose one with channel=0"):
        decode_image(npy(STACK[0]), ReadOptions(axes="CYX", channel="DAPI"))
    with pytest.raises(OptionError, match="no colour sample 'red': its channels have no names"):
        decode_image(npy(np.zeros((4, 5, 3), np.uint8)), ReadOptions(channel="red"))
    with pytest.raises(OptionError, match="no channel 'DAPI'"):
        decode_image(npy(STACK[0, 0]), ReadOptions(channel="DAPI"))


def test_a_name_of_several_channels_chooses_none():
    names = {"axes": "CYX", "Channel": {"Name": ["GFP", "GFP", "DAPI"]}}
    encoded = tiff(STACK[0], ome=True, photometric="minisblack", metadata=names)
    with pytest.raises(AmbiguousAxesError, match=r"2 channels of the name 'GFP': choose one with channel=0\.\.2"):
        decode_image(encoded, ReadOptions(channel="GFP"))
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(channel="DAPI")).pixels, STACK[0, 2])


def test_many_and_long_names_are_listed_in_part():
    names = [f"{index:02} " + "x" * 100 for index in range(30)]
    planes = np.zeros((30, 4, 5), np.uint8)
    encoded = tiff(planes, ome=True, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": names}})
    with pytest.raises(AmbiguousAxesError) as caught:
        decode_image(encoded)
    assert "19 x" in str(caught.value)
    assert "20 x" not in str(caught.value)
    assert len(str(caught.value)) < 1200


def test_names_do_not_count_where_the_caller_says_that_the_channels_are_others():
    encoded = tiff(STACK[0], ome=True, photometric="minisblack", metadata={**NAMES, "axes": "CYX"})
    assert (read_header(encoded).axes, read_header(encoded).shape) == ("TZCYX", (1, 1, 3, 30, 20))
    with pytest.raises(OptionError, match="no names"):
        decode_image(encoded, ReadOptions(axes="TYX", channel="DAPI", t=0))
    assert decode_image(encoded, ReadOptions(axes="CYX", channel="GFP")).plane.channel == 1


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_a_colour_picture_in_a_stack_of_one_channel_has_colours_to_choose_from(kind):
    colours = RANDOM.integers(0, 256, (1, 4, 1, 20, 30, 3)).astype(np.uint8)
    metadata = {"axes": "TZCYXS", **({"Channel": {"Name": ["561"]}} if kind == "ome" else {})}
    encoded = tiff(colours, photometric="rgb", metadata=metadata, **{kind: True})
    np.testing.assert_array_equal(decode_image(encoded, ReadOptions(z=2)).pixels, colours[0, 2, 0])
    for sample in range(3):
        image = decode_image(encoded, ReadOptions(z=2, channel=sample))
        np.testing.assert_array_equal(image.pixels, colours[0, 2, 0, ..., sample])
        assert image.plane.channel == sample
    for beyond in (3, 561):
        with pytest.raises(OptionError, match=f"channel={beyond} is outside the image, which has 3 colour samples$"):
            decode_image(encoded, ReadOptions(z=2, channel=beyond))
    with pytest.raises(OptionError, match="no colour sample 'red'"):
        decode_image(encoded, ReadOptions(z=2, channel="red"))
    if kind == "ome":
        np.testing.assert_array_equal(decode_image(encoded, ReadOptions(z=2, channel="561")).pixels, colours[0, 2, 0])


def test_names_that_are_not_as_many_as_the_channels_name_none():
    names = b'<Channel ID="Channel:0:1"'
    encoded = tiff(STACK[0], ome=True, photometric="minisblack", metadata={**NAMES, "axes": "CYX"})
    assert encoded.count(names) == 1
    fewer = encoded.replace(names, names.replace(b"Channel ", b"Another "))
    start = fewer.index(b"<Another ")
    end = fewer.index(b"</Channel>", start)
    fewer = fewer[:end] + b"</Another>" + fewer[end + 10 :]
    with pytest.raises(OptionError, match="no names"):
        decode_image(fewer, ReadOptions(channel="DAPI"))
    np.testing.assert_array_equal(decode_image(fewer, ReadOptions(channel=2)).pixels, STACK[0, 2])


def test_an_image_says_what_its_axes_were_taken_for():
    assert decode_image(npy(STACK[0, 0])).axes == "YX"
    assert decode_image(npy(STACK), ReadOptions(axes="zcyx", z=0, channel=0)).axes == "ZCYX"
    colour = decode_image(npy(np.zeros((4, 5, 3), np.uint8)), ReadOptions(channel=1))
    assert (colour.axes, colour.plane) == ("YXS", ChosenPlane(channel=1))
    assert decode_image(pages(*STACK[:, 0]), ReadOptions(t=2)).plane == ChosenPlane(t=2)
