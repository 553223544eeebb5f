"""How large a pixel is on the specimen, from what a TIFF file says.

Four places are asked, the most explicit first: PhysicalSizeX and Y of OME-XML, ``MPP`` (micrometres per pixel) of
Aperio's slides, the ``unit`` of ImageJ with the resolution tags, the resolution tags alone. These tags are also where
programs put the resolution of a print or a screen, 72, 96 or 300 pixels per inch when they know nothing, and ImageJ
takes that for a calibration when it opens a file, and writes it as one. So of the last two a size in inches or
centimetres counts only up to `MAX_PRINTED_UM`: a pixel of 10 micrometres is 2540 per inch, finer than anything is
printed and coarser than most microscopes see.

One number stands for both sides. Where they differ by more than `MAX_UNEVENNESS` there is none.
"""

import re
from math import isfinite
from typing import NamedTuple

from tifffile import TiffPage

from monolayer_core.image_formats.ome import OmePixels

MAX_PRINTED_UM = 10.0
MAX_UNEVENNESS = 0.01

_POWERS = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0, "d": -1, "c": -2,
    "m": -3, "µ": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_INCH_UM = 25_400.0
_OME_UNITS = {f"{prefix}m": 10.0 ** (power + 6) for prefix, power in _POWERS.items()} | {
    "Å": 1e-4, "thou": _INCH_UM / 1000, "li": _INCH_UM / 12, "in": _INCH_UM, "ft": 12 * _INCH_UM, "yd": 36 * _INCH_UM,
    "mi": 63_360 * _INCH_UM, "pt": _INCH_UM / 72, "ua": 149_597_870_700e6, "ly": 9_460_730_472_580_800e6,
    "pc": 3.0856775814913673e22,
}  # fmt: skip
"""The lengths of the OME data model, where case counts: mm are no Mm."""

_WORDS = {
    "pm": 1e-6, "picometer": 1e-6, "å": 1e-4, "angstrom": 1e-4, "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "um": 1.0,
    "micron": 1.0, "micrometer": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4, "m": 1e6,
    "meter": 1e6, "inch": _INCH_UM, "inche": _INCH_UM, "in": _INCH_UM,
}  # fmt: skip
"""What people write, in small letters, of one, and in American spelling."""

_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_APERIO_UM = re.compile(r"\|\s*MPP\s*=\s*(\d+(?:\.\d+)?)")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


class PixelSize(NamedTuple):
    """Side of a pixel in micrometres, None where the file does not say or says that the sides differ."""

    um: float | None
    is_square: bool = True


def pixel_size(page: TiffPage, description: str, ome: OmePixels | None) -> PixelSize:
    """Find the size of a pixel in what the first page, its description or its OME-XML say."""
    if ome is not None:
        units = [_OME_UNITS.get(unit.strip(), _in_words(unit)) for unit in map(_with_micro_sign, ome.physical_unit)]
        sides = [_micrometres(size, unit) for size, unit in zip(ome.physical_size, units, strict=True)]
        return _one_side(*sides)
    if page.is_svs and (said := _APERIO_UM.search(description)) is not None:
        return PixelSize(_micrometres(float(said[1]), 1.0))
    per_unit = _pixels_per_unit(page, 282), _pixels_per_unit(page, 283)
    units = [_in_words(unit) for unit in _units(page, description)]
    sides = [_micrometres(1 / n if n else None, unit) for n, unit in zip(per_unit, units, strict=True)]
    printed = any(unit in (_WORDS["inch"], _WORDS["cm"]) for unit in units)
    if printed and any(side is not None and side > MAX_PRINTED_UM for side in sides):
        return PixelSize(None)
    return _one_side(*sides)


def _one_side(x: float | None, y: float | None) -> PixelSize:
    if x is None or y is None:
        return PixelSize(None)
    return PixelSize(x) if abs(x - y) <= MAX_UNEVENNESS * max(x, y) else PixelSize(None, is_square=False)


def _micrometres(size: float | None, unit_um: float | None) -> float | None:
    if size is None or unit_um is None:
        return None
    side = size * unit_um
    return side if isfinite(side) and side > 0 else None


def _in_words(unit: str) -> float | None:
    word = _with_micro_sign(unit).strip().lower().replace("metre", "meter")
    return _WORDS.get(word, _WORDS.get(word.removesuffix("s")))


def _with_micro_sign(unit: str) -> str:
    """Write the Greek letter mu as the micro sign, which looks the same."""
    return unit.replace("\u03bc", "µ")


def _pixels_per_unit(page: TiffPage, tag: int) -> float | None:
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(part, int) and part > 0 for part in value):
        return None
    return float(value[0] / value[1])


def _units(page: TiffPage, description: str) -> tuple[str, str]:
    """Give the units along x and y: ImageJ's, else that of the resolution tags."""
    of_tags = _RESOLUTION_UNITS.get(int(page.tags.valueof(296, 2)), "")
    if not page.is_imagej:
        return of_tags, of_tags
    entries = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    x = _unescaped(entries.get("unit", "")) or of_tags
    return x, _unescaped(entries.get("yunit", "")) or x


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).strip()
