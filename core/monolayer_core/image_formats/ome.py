"""The part of OME-XML that says how planes lie in a TIFF file and how large a pixel is.

Open Microscopy Environment, "OME-TIFF specification", https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/. The
first image of the file is read. Planes are never listed: each TiffData element covers a run of planes, and the run that
holds a plane is looked up when the plane is wanted.
"""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from monolayer_core.errors import TruncatedImageError, UnusableImageError

_MAX_LENGTH = 1 << 25  # that of 65,536 planes, each with its position
# Of elements and attributes, whose number decides how long parsing takes and how large the tree is: several times those
# of 65,536 planes.
_MAX_ELEMENTS = 1 << 19
_MAX_ATTRIBUTES = 1 << 21
_ORDERS = {"XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTCZ", "XYTZC"}


@dataclass(frozen=True)
class PlaneRun:
    """`count` planes from number `first` on, in the order of the axes, lie on pages from `page` on."""

    first: int
    count: int
    page: int
    elsewhere: bool


@dataclass(frozen=True)
class OmePixels:
    """Layout of the first image.

    Attributes
    ----------
    order
        DimensionOrder, the fastest axis first, such as ``XYCZT``.
    sizes
        Length of each axis; C counts planes, the samples of a pixel taken out.
    runs
        Where planes lie.
    physical_size, physical_unit
        PhysicalSizeX and Y as written, None where they are missing, and their units.
    """

    order: str
    sizes: dict[str, int]
    runs: tuple[PlaneRun, ...]
    physical_size: tuple[float | None, float | None]
    physical_unit: tuple[str, str]

    def page_of(self, number: int) -> int:
        """Give the page of a plane; `number` counts planes in the order of the axes.

        Raises
        ------
        TruncatedImageError
            The plane is nowhere.
        UnusableImageError
            It lies in another file of a set.
        """
        for run in self.runs:
            if run.first <= number < run.first + run.count:
                if run.elsewhere:
                    raise UnusableImageError("the OME-XML places this plane in another file: send that file")
                return run.page + number - run.first
        raise TruncatedImageError("the OME-XML names no page for this plane")


def parse_pixels(description: str) -> OmePixels:
    """Read the layout of the first image.

    Raises
    ------
    TruncatedImageError
        The text is no OME-XML.
    UnusableImageError
        It describes no image of this file.
    """
    if len(description) > _MAX_LENGTH:
        raise UnusableImageError(f"OME-XML of more than {_MAX_LENGTH} characters is not read")
    if description.count("<") > 2 * _MAX_ELEMENTS or description.count("=") > _MAX_ATTRIBUTES:
        raise UnusableImageError(f"OME-XML of more than {_MAX_ELEMENTS} elements is not read")
    if "<!" in description.replace("<!--", ""):
        # A document type could define entities that expand without end; OME-XML has none.
        raise UnusableImageError("OME-XML with a document type is not read")
    try:
        root = ET.fromstring(description)  # noqa: S314 - without a document type nothing can expand
    except ET.ParseError as error:
        raise TruncatedImageError("the OME-XML is damaged: it is no XML") from error
    pixels = root.find("{*}Image/{*}Pixels")
    if pixels is None:
        raise UnusableImageError("the OME-XML describes no image of this file")
    try:
        return _read(pixels, root.get("UUID"))
    except (KeyError, ValueError) as error:
        raise TruncatedImageError("the OME-XML is damaged: its image lacks what it must have") from error


def _read(pixels: ET.Element, own_uuid: str | None) -> OmePixels:
    order = pixels.attrib["DimensionOrder"]
    sizes = {letter: int(pixels.attrib[f"Size{letter}"]) for letter in "XYZCT"}
    if order not in _ORDERS or min(sizes.values()) < 1:
        raise ValueError(f"{order} of sizes {sizes}")
    channel = pixels.find("{*}Channel")
    samples = 1 if channel is None else int(channel.get("SamplesPerPixel", "1"))
    if samples < 1 or sizes["C"] % samples:
        raise ValueError(f"{sizes['C']} channels of {samples} samples")
    sizes["C"] //= samples
    planes = sizes["Z"] * sizes["C"] * sizes["T"]
    runs = tuple(_run(element, order, sizes, planes, own_uuid) for element in pixels.iterfind("{*}TiffData"))
    return OmePixels(
        order,
        sizes,
        runs or (PlaneRun(0, planes, 0, elsewhere=False),),
        (_number(pixels.get("PhysicalSizeX")), _number(pixels.get("PhysicalSizeY"))),
        (pixels.get("PhysicalSizeXUnit", "µm"), pixels.get("PhysicalSizeYUnit", "µm")),
    )


def _run(element: ET.Element, order: str, sizes: dict[str, int], planes: int, own_uuid: str | None) -> PlaneRun:
    first, step = 0, 1
    for letter in order[2:]:
        first += step * int(element.get(f"First{letter}", "0"))
        step *= sizes[letter]
    # Without IFD and PlaneCount an element stands for all planes, with IFD alone for one.
    count = int(element.get("PlaneCount", "1" if "IFD" in element.attrib else str(planes - first)))
    uuid = element.find("{*}UUID")
    elsewhere = uuid is not None and own_uuid is not None and uuid.text != own_uuid
    return PlaneRun(first, count, int(element.get("IFD", "0")), elsewhere)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
