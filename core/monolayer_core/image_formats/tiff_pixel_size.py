"""How large a pixel is on the specimen, from what a TIFF file says.

Three places are asked, the most explicit first: PhysicalSizeX and Y of OME-XML, the ``unit`` of ImageJ with the
resolution tags, the resolution tags alone. The last are also where programs put the resolution of a print or a screen,
72, 96 or 300 pixels per inch when they know nothing. So a size in inches or centimetres counts only up to
`MAX_PRINTED_UM`: a pixel of 10 micrometres is 2540 per inch, finer than anything is printed and coarser than most
microscopes see.

One number stands for both sides. Where they differ by more than `MAX_UNEVENNESS` there is none.
"""

from math import isfinite

from tifffile import TiffPage

from monolayer_core.image_formats.ome import parse_pixels

MAX_PRINTED_UM = 10.0
MAX_UNEVENNESS = 0.01

_MICROMETRES = {
    "pm": 1e-6, "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "micrometre": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "m": 1e6, "inch": 25_400.0, "in": 25_400.0, "å": 1e-4,
}  # fmt: skip
_PRINT_UNITS = {"inch", "in", "cm"}
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}


def pixel_size_um(page: TiffPage, description: str) -> float | None:
    """Side of a pixel in micrometres, None where the file does not say, or says that pixels are not square."""
    if page.is_ome:
        pixels = parse_pixels(description)
        sides = [
            _micrometres(size, unit) for size, unit in zip(pixels.physical_size, pixels.physical_unit, strict=True)
        ]
        return _one_side(*sides)
    resolution = _pixels_per_unit(page, 282), _pixels_per_unit(page, 283)
    unit = _imagej_unit(description) if page.is_imagej else _resolution_unit(page)
    sides = [_micrometres(1 / r if r else None, unit) for r in resolution]
    size = _one_side(*sides)
    if size is not None and unit in _PRINT_UNITS and size > MAX_PRINTED_UM:
        return None
    return size


def _one_side(x: float | None, y: float | None) -> float | None:
    if x is None or y is None:
        return None
    return x if abs(x - y) <= MAX_UNEVENNESS * max(x, y) else None


def _micrometres(size: float | None, unit: str) -> float | None:
    factor = _MICROMETRES.get(unit.strip().lower().replace("\u03bc", "µ"))
    if size is None or factor is None or not isfinite(size) or size <= 0:
        return None
    return size * factor


def _pixels_per_unit(page: TiffPage, tag: int) -> float | None:
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(part, int) and part > 0 for part in value):
        return None
    return float(value[0] / value[1])


def _imagej_unit(description: str) -> str:
    for line in description.splitlines():
        if line.startswith("unit="):
            return line.removeprefix("unit=").strip().replace("\\u00B5", "µ")
    return ""


def _resolution_unit(page: TiffPage) -> str:
    return _RESOLUTION_UNITS.get(int(page.tags.valueof(296, 2)), "")
