"""The part of OME-XML that says how planes lie in a TIFF file and how large a pixel is.

Open Microscopy Environment, "OME-TIFF specification", https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/. Of
several images the one that the caller names is read. Planes are never listed: each TiffData element covers a run of
planes, and the run that holds a plane is looked up when the plane is wanted.

A set of files may share one text, which says by their UUID which file holds which planes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree as ET

from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.series import DescribedImage, Series, choose_series

_MAX_LENGTH = 1 << 25  # that of 65,536 planes, each with its position
# Of elements and attributes, whose number decides how long parsing takes and how large the tree is: several times those
# of 65,536 planes.
_MAX_ELEMENTS = 1 << 19
_MAX_ATTRIBUTES = 1 << 21
_MAX_NAME = 100  # characters of a file's name in a message
_ORDERS = {"XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTCZ", "XYTZC"}


@dataclass(frozen=True)
class PlaneRun:
    """`count` planes from number `first` on, in the order of the axes, lie on pages from `page` on.

    `other_file` is the name of the file of the set that holds them, None where it is this one.
    """

    first: int
    count: int
    page: int
    other_file: str | None = None


@dataclass(frozen=True)
class OmePixels:
    """Layout of one image.

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
    channel_names
        One for each index along C, "" where a channel has none; empty where the channels are not listed or none has.
    series, series_name
        Which of several images this is, counted from 0, and what it is called; None where it is the only one.
    """

    order: str
    sizes: dict[str, int]
    runs: tuple[PlaneRun, ...]
    physical_size: tuple[float | None, float | None]
    physical_unit: tuple[str, str]
    channel_names: tuple[str, ...] = ()
    series: int | None = None
    series_name: str | None = None

    @property
    def first_page(self) -> int:
        """Page of the first plane that lies in this file; 0 where none does."""
        return next((run.page for run in self._by_first[1] if run.other_file is None), 0)

    def page_of(self, number: int) -> int:
        """Give the page of a plane; `number` counts planes in the order of the axes.

        Raises
        ------
        TruncatedImageError
            The plane is nowhere.
        UnusableImageError
            It lies in another file of a set.
        """
        run = self._run_of(number)
        if run.other_file is not None:
            raise UnusableImageError(
                f"the OME-XML places this plane in another file of a set, {run.other_file!r}: send that file"
            )
        return run.page + number - run.first

    def only_indices(self) -> dict[str, int]:
        """Give the index along each axis of which a file of a set holds one alone; {} where the file is no set's."""
        here = [run for run in self.runs if run.other_file is None and run.count > 0]
        if not here or len(here) == len(self.runs):
            return {}
        found, step = {}, 1
        for letter in self.order[2:]:
            blocks = {place // step for run in here for place in (run.first, run.first + run.count - 1)}
            indices = {block % self.sizes[letter] for block in blocks}
            is_one = len(indices) == 1 and all(run.first // step == (run.first + run.count - 1) // step for run in here)
            if is_one and self.sizes[letter] > 1:
                found[letter] = indices.pop()
            step *= self.sizes[letter]
        return found

    @cached_property
    def _by_first(self) -> tuple[list[int], list[PlaneRun]]:
        """Runs that hold planes in ascending order of the first; of several that begin alike the first one written."""
        runs = {run.first: run for run in reversed(self.runs) if run.count > 0}
        return sorted(runs), [runs[first] for first in sorted(runs)]

    def _run_of(self, number: int) -> PlaneRun:
        firsts, runs = self._by_first
        place = bisect_right(firsts, number) - 1
        nearest = runs[place : place + 1] if place >= 0 else []
        for run in (*nearest, *self.runs):
            if run.first <= number < run.first + run.count:
                return run
        raise TruncatedImageError("the OME-XML names no page for this plane")


def parse_pixels(description: str, wanted: Series = None) -> OmePixels | None:
    """Read the layout of an image; None where the text only says that it stands in another file.

    Parameters
    ----------
    description
        OME-XML.
    wanted
        Which image, where the file holds several.

    Raises
    ------
    TruncatedImageError
        The text is no OME-XML.
    UnusableImageError
        It describes no image of this file.
    AmbiguousAxesError, OptionError
        See `series.choose_series`.
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
    if root.find("{*}BinaryOnly") is not None:
        return None
    images = root.findall("{*}Image")
    if all(image.find("{*}Pixels") is None for image in images):
        raise UnusableImageError("the OME-XML describes no image of this file")
    try:
        return _read_chosen(images, root.get("UUID"), wanted)
    except (KeyError, ValueError) as error:
        raise TruncatedImageError("the OME-XML is damaged: its image lacks what it must have") from error


def _read_chosen(images: Sequence[ET.Element], own_uuid: str | None, wanted: Series) -> OmePixels:
    """Read the image that is meant; of the others only where they lie is looked at."""
    files = [_files_of(image) for image in images]
    uuids = {uuid for file in files for uuid in file if uuid is not None}
    # In a file without a name of its own, one name for all planes can only be its.
    own = own_uuid.strip() if own_uuid else next(iter(uuids)) if len(uuids) == 1 else None
    is_known_file = own is not None or not uuids or len(images) == 1
    described = [
        DescribedImage(
            image.get("Name", "").strip(),
            is_here=len(images) == 1 or None in file or own in file or (not is_known_file and len(file) == 1),
            other_file=next((name for uuid, name in file.items() if uuid not in (None, own)), ""),
        )
        for image, file in zip(images, files, strict=True)
    ]
    series = choose_series(described, wanted, is_known_file=is_known_file)
    if not is_known_file and len(files[series]) == 1:
        own = next(iter(files[series]))  # by the caller's word
    return _read(images[series], own, series if len(images) > 1 else None)


def _files_of(image: ET.Element) -> dict[str | None, str]:
    """Give UUID and name of the files that hold planes of an image; None stands for the one with this text."""
    pixels = image.find("{*}Pixels")
    places = [] if pixels is None else [place for place in pixels.findall("{*}TiffData") if _has_planes(place)]
    return {_uuid(place): _file_name(place) for place in reversed(places)}


def _has_planes(place: ET.Element) -> bool:
    return int(place.get("PlaneCount", "1")) > 0


def _read(image: ET.Element, own: str | None, series: int | None) -> OmePixels:
    pixels = image.find("{*}Pixels")
    if pixels is None:
        raise KeyError("Pixels")
    order = pixels.attrib["DimensionOrder"]
    sizes = {letter: int(pixels.attrib[f"Size{letter}"]) for letter in "XYZCT"}
    if order not in _ORDERS or min(sizes.values()) < 1:
        raise ValueError(f"{order} of sizes {sizes}")
    channels = pixels.findall("{*}Channel")
    samples = int(channels[0].get("SamplesPerPixel", "1")) if channels else 1
    if samples < 1 or sizes["C"] % samples:
        raise ValueError(f"{sizes['C']} channels of {samples} samples")
    sizes["C"] //= samples
    planes = sizes["Z"] * sizes["C"] * sizes["T"]
    places = pixels.findall("{*}TiffData")
    names = tuple(channel.get("Name", "").strip() for channel in channels)
    return OmePixels(
        order,
        sizes,
        tuple(_run(place, order, sizes, planes, own) for place in places) or (PlaneRun(0, planes, 0),),
        (_number(pixels.get("PhysicalSizeX")), _number(pixels.get("PhysicalSizeY"))),
        (pixels.get("PhysicalSizeXUnit", "µm"), pixels.get("PhysicalSizeYUnit", "µm")),
        names if len(names) == sizes["C"] and any(names) else (),
        series,
        None if series is None else image.get("Name", "").strip() or None,
    )


def _run(place: ET.Element, order: str, sizes: dict[str, int], planes: int, own_uuid: str | None) -> PlaneRun:
    first, step = 0, 1
    for letter in order[2:]:
        first += step * int(place.get(f"First{letter}", "0"))
        step *= sizes[letter]
    # Without IFD and PlaneCount an element stands for all planes, with IFD alone for one.
    count = int(place.get("PlaneCount", "1" if "IFD" in place.attrib else str(planes - first)))
    uuid = _uuid(place)
    is_here = uuid is None or uuid == own_uuid
    return PlaneRun(first, count, int(place.get("IFD", "0")), None if is_here else _file_name(place))


def _uuid(place: ET.Element) -> str | None:
    element = place.find("{*}UUID")
    return None if element is None or element.text is None else element.text.strip()


def _file_name(place: ET.Element) -> str:
    element = place.find("{*}UUID")
    return "" if element is None else element.get("FileName", "")[:_MAX_NAME]


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
