import io
import struct

import numpy as np
import pytest
import tifffile

from monolayer_core.image_io import ReadOptions, decode_image, read_header

GREY = np.arange(120, dtype=np.uint16).reshape(10, 12)


def tiff(**options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY, photometric="minisblack", **options)
    return stream.getvalue()


def ome(**sizes: object) -> bytes:
    return tiff(ome=True, metadata={"axes": "YX", **sizes})


def square(size: float, unit: str | None = None) -> dict[str, object]:
    units = {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit} if unit else {}
    return {"PhysicalSizeX": size, "PhysicalSizeY": size, **units}


def imagej(per_unit: float, unit: str) -> bytes:
    return tiff(imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit})


def aperio(entries: str) -> bytes:
    return tiff(metadata=None, description=f"Aperio Image Library v11.2.1\r\n12x10 (256x256) JPEG/RGB Q=30{entries}")


def tags(per_unit: float, unit: str, per_unit_y: float | None = None, **options: object) -> bytes:
    return tiff(metadata=None, resolution=(per_unit, per_unit_y or per_unit), resolutionunit=unit, **options)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ome(**square(0.325)), 0.325),
        (ome(**square(0.325, "µm")), 0.325),
        (ome(**square(0.325, "\u03bcm")), 0.325),
        (ome(**square(325, "nm")), 0.325),
        (ome(**square(0.000325, "mm")), 0.325),
        (ome(**square(3.25e-7, "m")), 0.325),
        (ome(**square(3.25, "Å")), 3.25e-4),
        (ome(**square(3.25e-5, "cm")), 0.325),
        (ome(**square(0.0128, "thou")), 0.32512),
        (ome(**square(1.28e-5, "in")), 0.32512),
        (ome(**square(325_000, "pm")), 0.325),
        (ome(**square(3.25e-13, "Mm")), 0.325),
        (ome(PhysicalSizeX=0.325, PhysicalSizeY=325, PhysicalSizeYUnit="nm"), 0.325),
        (ome(**square(1, "pixel")), None),
        (ome(**square(0, "µm")), None),
        (ome(**square(-1, "µm")), None),
        (ome(**square(1, "reference frame")), None),
        (ome(PhysicalSizeX=0.325), None),
        (ome(), None),
        (ome(PhysicalSizeX=0.3, PhysicalSizeY=0.6), None),
        (imagej(2, "micron"), 0.5),
        (imagej(2, "um"), 0.5),
        (imagej(2, "\\u00B5m"), 0.5),
        (imagej(0.004, "nm"), 0.25),
        (imagej(2000, "mm"), 0.5),
        (imagej(20_000, "cm"), 0.5),
        (imagej(2, "\\u00b5m"), 0.5),
        (imagej(2, "\\u03BCm"), 0.5),
        (tags(2, "NONE", description="ImageJ=1.53t\nunit=µm\n".encode()), 0.5),
        (imagej(2, "microns"), 0.5),
        (imagej(2, "micrometers"), 0.5),
        (imagej(2, "Micrometre"), 0.5),
        (imagej(2000, "millimeters"), 0.5),
        (imagej(50_800, "inches"), 0.5),
        (tags(20_000, "CENTIMETER", description="ImageJ=1.53t\n"), 0.5),
        (tags(50_800, "INCH", description="ImageJ=1.53t\nunit=\n"), 0.5),
        (tags(72, "INCH", description="ImageJ=1.53t\n"), None),
        (tags(2, "NONE", 1, description="ImageJ=1.53t\nunit=um\n"), None),
        (tags(2, "NONE", 2000, description="ImageJ=1.53t\nunit=um\nyunit=mm\n"), 0.5),
        (imagej(72, "inch"), None),
        (imagej(2540.1, "inch"), 9.9996),
        (imagej(2539.9, "inch"), None),
        (imagej(1000.1, "cm"), 9.999),
        (imagej(999.9, "cm"), None),
        (imagej(40, "mm"), 25.0),
        (imagej(0.04, "um"), 25.0),
        (imagej(2, "pixel"), None),
        (imagej(2, ""), None),
        (tags(20_000, "CENTIMETER"), 0.5),
        (tags(50_800, "INCH"), 0.5),
        (tags(72, "INCH"), None),
        (tags(96, "INCH"), None),
        (tags(300, "INCH"), None),
        (tags(1200, "INCH"), None),
        (tags(118.11, "CENTIMETER"), None),
        (tags(20_000, "NONE"), None),
        (tags(20_000, "CENTIMETER", 10_000), None),
        (tags(20_000, "CENTIMETER", 20_100), 0.5),
        (
            tiff(metadata=None, description="Aperio Image Library v11\r\n12x10 |AppMag = 20|MPP = 0.4990|Left = 1"),
            0.499,
        ),
        (aperio("|AppMag = 20|MPP = 0|Left = 1"), None),
        (aperio("|AppMag = 20"), None),
        (tiff(metadata=None, description="Another |MPP = 0.4990|"), None),
        (tiff(metadata=None), None),
    ],
    ids=[
        "OME, micrometres unless said otherwise",
        "OME, micro sign",
        "OME, Greek mu",
        "OME, nanometres",
        "OME, millimetres",
        "OME, metres",
        "OME, angstrom",
        "OME, centimetres",
        "OME, thousandths of an inch",
        "OME, inches",
        "OME, picometres",
        "OME, megametres are no millimetres",
        "OME, a unit each",
        "OME, pixels are no length",
        "OME, no size",
        "OME, a negative size",
        "OME, a reference frame is no length",
        "OME, one side only",
        "OME, nothing said",
        "OME, not square",
        "ImageJ, micron",
        "ImageJ, um",
        "ImageJ, escaped micro sign",
        "ImageJ, nanometres",
        "ImageJ, millimetres",
        "ImageJ, centimetres",
        "ImageJ, escaped in small letters",
        "ImageJ, escaped Greek mu",
        "ImageJ, micro sign",
        "ImageJ, microns",
        "ImageJ, micrometers",
        "ImageJ, Micrometre",
        "ImageJ, millimeters",
        "ImageJ, inches",
        "ImageJ, the tag's unit",
        "ImageJ, the tag's unit where its own is empty",
        "ImageJ, a screen's 72 per inch in the tag",
        "ImageJ, not square",
        "ImageJ, a unit each",
        "ImageJ, a screen's 72 per inch",
        "ImageJ, finer than a print in inches",
        "ImageJ, as coarse as a print in inches",
        "ImageJ, finer than a print in centimetres",
        "ImageJ, as coarse as a print in centimetres",
        "ImageJ, large pixels in millimetres",
        "ImageJ, large pixels in micrometres",
        "ImageJ, pixels are no length",
        "ImageJ, no unit",
        "tags, per centimetre",
        "tags, per inch",
        "tags, a screen's 72 per inch",
        "tags, a screen's 96 per inch",
        "tags, a print's 300 per inch",
        "tags, a print's 1200 per inch",
        "tags, a print's 300 per inch in centimetres",
        "tags, no unit",
        "tags, not square",
        "tags, square within one percent",
        "Aperio, micrometres per pixel",
        "Aperio, nothing per pixel",
        "Aperio, nothing said",
        "another program's",
        "nothing said",
    ],
)
def test_the_pixel_size_is_what_the_file_says_and_otherwise_unknown(data, expected):
    size = read_header(data).pixel_size_um
    assert size == (None if expected is None else pytest.approx(expected, rel=1e-4))
    assert decode_image(data).pixel_size_um == size


def test_a_micro_sign_of_one_byte_is_understood():
    data = tags(2, "NONE", description="ImageJ=1.53t\nunit=?m\n")
    assert read_header(data).pixel_size_um is None
    assert read_header(data.replace(b"?m", b"\xb5m")).pixel_size_um == 0.5


@pytest.mark.parametrize(
    ("data", "is_square"),
    [
        (ome(PhysicalSizeX=0.3, PhysicalSizeY=0.6), False),
        (ome(**square(0.3)), True),
        (ome(PhysicalSizeX=0.3), True),
        (ome(), True),
        (imagej(2, "um"), True),
        (tags(2, "NONE", 1, description="ImageJ=1.53t\nunit=um\n"), False),
        (tags(20_000, "CENTIMETER", 10_000), False),
        (tags(20_000, "CENTIMETER", 20_100), True),
        (tags(204, "INCH", 98), True),
        (tags(2, "NONE", 1), True),
    ],
    ids=[
        "OME, not square",
        "OME, square",
        "OME, one side only",
        "OME, nothing said",
        "ImageJ, square",
        "ImageJ, not square",
        "tags, not square",
        "tags, square within one percent",
        "a print that is not square says nothing of the specimen",
        "no unit",
    ],
)
def test_pixels_that_are_not_square_are_known_as_such(data, is_square):
    assert decode_image(data).pixels_are_square == is_square
    assert decode_image(data, ReadOptions(pixel_size_um=0.5)).pixels_are_square


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("Ym", 1e30), ("Zm", 1e27), ("Em", 1e24), ("Pm", 1e21), ("Tm", 1e18), ("Gm", 1e15), ("Mm", 1e12), ("km", 1e9),
        ("hm", 1e8), ("dam", 1e7), ("m", 1e6), ("dm", 1e5), ("cm", 1e4), ("mm", 1e3), ("µm", 1), ("nm", 1e-3),
        ("pm", 1e-6), ("fm", 1e-9), ("am", 1e-12), ("zm", 1e-15), ("ym", 1e-18), ("Å", 1e-4), ("thou", 25.4),
        ("li", 2116.6667), ("in", 25_400), ("ft", 304_800), ("yd", 914_400), ("mi", 1.609344e9),
        ("ua", 1.495978707e17), ("ly", 9.4607304725808e21), ("pc", 3.0856775814913673e22), ("pt", 352.77778),
        ("pixel", None), ("reference frame", None), ("", None), ("furlong", None),
    ],
)  # fmt: skip
def test_every_length_of_ome_is_known(unit, um):
    xml = ome(**square(1, "UNIT!"))
    data = xml.replace(b'Unit="UNIT!"', f'Unit="{unit}"'.encode())
    with tifffile.TiffFile(io.BytesIO(xml)) as file:
        tag = file.pages.first.tags[270]
    # The text has become longer or shorter: it is put at the end, its place and length into the tag.
    text = data[tag.valueoffset : tag.valueoffset + tag.count + len(data) - len(xml)]
    entry = tag.offset + 4
    moved = xml[:entry] + struct.pack("<II", len(text), len(xml)) + xml[entry + 8 :] + text
    size = read_header(moved).pixel_size_um
    assert size == (None if um is None else pytest.approx(um, rel=1e-6))


def test_the_callers_pixel_size_beats_that_of_the_file():
    assert read_header(ome(**square(0.325)), ReadOptions(pixel_size_um=0.65)).pixel_size_um == 0.65


@pytest.mark.parametrize("resolution", [(0, 0), (0, 1), (1, 0)])
def test_a_resolution_of_nothing_is_no_size(resolution):
    data = tags(20_000, "CENTIMETER")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags[282].valueoffset
    pair = b"".join(number.to_bytes(4, "little") for number in resolution)
    assert read_header(data[:place] + pair + data[place + 8 :]).pixel_size_um is None
