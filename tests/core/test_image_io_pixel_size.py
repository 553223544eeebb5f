import io

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


def tags(per_unit: float, unit: str, per_unit_y: float | None = None) -> bytes:
    return tiff(metadata=None, resolution=(per_unit, per_unit_y or per_unit), resolutionunit=unit)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ome(**square(0.325)), 0.325),
        (ome(**square(0.325, "µm")), 0.325),
        (ome(**square(0.325, "\u03bcm")), 0.325),
        (ome(**square(325, "nm")), 0.325),
        (ome(**square(0.000325, "mm")), 0.325),
        (ome(**square(1, "pixel")), None),
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
        (imagej(72, "inch"), None),
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
        (tiff(metadata=None), None),
    ],
    ids=[
        "OME, micrometres unless said otherwise",
        "OME, micro sign",
        "OME, Greek mu",
        "OME, nanometres",
        "OME, millimetres",
        "OME, pixels are no length",
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
        "ImageJ, a screen's 72 per inch",
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
        "nothing said",
    ],
)
def test_the_pixel_size_is_what_the_file_says_and_otherwise_unknown(data, expected):
    size = read_header(data).pixel_size_um
    assert size == (None if expected is None else pytest.approx(expected, rel=1e-4))
    assert decode_image(data).pixel_size_um == size


def test_the_callers_pixel_size_beats_that_of_the_file():
    assert read_header(ome(**square(0.325)), ReadOptions(pixel_size_um=0.65)).pixel_size_um == 0.65


@pytest.mark.parametrize("resolution", [(0, 0), (0, 1), (1, 0)])
def test_a_resolution_of_nothing_is_no_size(resolution):
    data = tags(20_000, "CENTIMETER")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages.first.tags[282].valueoffset
    pair = b"".join(number.to_bytes(4, "little") for number in resolution)
    assert read_header(data[:place] + pair + data[place + 8 :]).pixel_size_um is None
