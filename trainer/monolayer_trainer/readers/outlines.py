"""Outlines as people draw and correct them: QuPath's GeoJSON and ImageJ's ROIs, a file of them for each image.

``NAME.geojson``, ``NAME.roi``, ``NAME.zip`` or ``NAME.rois.zip`` belongs to the image ``NAME.png`` (or another format),
wherever either lies. The service's own answers in these forms are read back to the pixel.

"Export all objects" in QuPath writes the annotations in which objects were found with the detections: where a file has
detections, annotations that enclose other objects are regions, no objects, and left out.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from roifile import ROI_TYPE, ImagejRoi

from monolayer_core.ring_fill import fill_rings, paint_objects
from monolayer_core.truth import number_consecutively
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.decoding import decode
from monolayer_trainer.readers.enclosure import find_enclosing
from monolayer_trainer.readers.files import images_by_stem, open_files
from monolayer_trainer.readers.labelled_image import LabelledImage

OutlineForm: TypeAlias = Literal["geojson", "rois"]

SUFFIXES: Mapping[OutlineForm, tuple[str, ...]] = {
    "geojson": (".geojson",),
    "rois": (".rois.zip", ".roi.zip", ".zip", ".roi"),
}
"""Ends of the names of files with outlines; the first that fits counts."""

_ANNOTATION = "annotation"
_FOUND = frozenset({"detection", "cell"})

_AREAS = frozenset({ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL})


@dataclass(frozen=True)
class Outline:
    """One object: rings ``(corner, 2)`` of y and x in pixels, filled by the even-odd rule, and its class if any.

    `kind` is QuPath's, such as ``annotation``, and `name` what it is called there; None where the file says neither.
    """

    rings: Sequence[npt.NDArray[np.float64]]
    class_name: str | None
    kind: str | None = None
    name: str | None = None


class OutlinesReader:
    """Reads images and the outlines of their objects.

    Parameters
    ----------
    source
        Folder or zip file.
    form
        Of the files with outlines.
    classes
        Names of the classes in their order; by default those that occur, in alphabetical order. With one class all
        objects are of it.

    Raises
    ------
    DatasetError
        A file with outlines is damaged, an object has no class or one that is not among several `classes`, or no image
        has outlines.
    """

    def __init__(self, source: Path, form: OutlineForm, classes: Sequence[str] = ()) -> None:
        self._files = open_files(source)
        self._form: OutlineForm = form
        self._images = images_by_stem(self._files.names)
        self._outlines = dict(outline_files(self._files.names, form))
        self.ids = tuple(sorted(self._images.keys() & self._outlines.keys()))
        if not self.ids:
            raise DatasetError(f"{source}: no image has outlines in a file of its name ({', '.join(SUFFIXES[form])})")
        self.left_out = tuple(
            [f"{self._images[i]}: no outlines" for i in sorted(self._images.keys() - self._outlines.keys())]
            + [f"{self._outlines[i]}: no image" for i in sorted(self._outlines.keys() - self._images.keys())]
        )
        found: set[str | None] = set()  # a file may hold many objects: they are not kept
        for image_id in self.ids:
            outlines, regions = self._read_outlines(image_id)
            found |= {outline.class_name for outline in outlines}
            self.left_out += tuple(f"{self._outlines[image_id]}: {_described(region)}" for region in regions)
        self.classes = tuple(classes) or tuple(sorted(name for name in found if name is not None)) or None

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and fill its outlines; where they overlap the smaller object keeps the pixel."""
        name = self._images[image_id]
        image = decode(self._files.read(name), name)
        height, width = image.pixels.shape[:2]
        outlines, _ = self._read_outlines(image_id)
        drawn = paint_objects([fill_rings(outline.rings, height, width) for outline in outlines], height, width)
        visible = np.unique(drawn[drawn > 0])
        object_classes = None
        if self.classes is not None and len(self.classes) > 1:
            object_classes = tuple(self._class_of(outlines[number - 1], image_id) for number in visible.tolist())
        return LabelledImage(image.pixels, number_consecutively(drawn), object_classes, image.pixel_size_um)

    def _read_outlines(self, image_id: str) -> tuple[list[Outline], list[Outline]]:
        """Read the objects of an image, and the regions among their outlines."""
        name = self._outlines[image_id]
        data = self._files.read(name)
        return part_from_regions(parse_geojson(data, name)) if self._form == "geojson" else (parse_rois(data, name), [])

    def _class_of(self, outline: Outline, image_id: str) -> int:
        classes = self.classes or ()
        if outline.class_name not in classes:
            found = "an object without a class" if outline.class_name is None else f"the class {outline.class_name}"
            raise DatasetError(f"{self._outlines[image_id]} holds {found}, the classes are {', '.join(classes)}")
        return classes.index(outline.class_name)


def part_from_regions(outlines: Sequence[Outline]) -> tuple[list[Outline], list[Outline]]:
    """Part objects from the regions that they were found in: annotations that enclose others, beside detections."""
    annotations = [index for index, outline in enumerate(outlines) if outline.kind == _ANNOTATION]
    if not any(outline.kind in _FOUND for outline in outlines):
        return list(outlines), []
    regions = set(find_enclosing([outline.rings for outline in outlines], annotations))
    return (
        [outline for index, outline in enumerate(outlines) if index not in regions],
        [outlines[index] for index in sorted(regions)],
    )


def _described(region: Outline) -> str:
    words = [
        *([] if region.name is None else [repr(region.name)]),
        *([] if region.class_name is None else [f"of class {region.class_name}"]),
    ]
    return " ".join(["an annotation", *words, "that encloses other objects"])


def outline_files(names: Sequence[str], form: OutlineForm) -> Iterator[tuple[str, str]]:
    """Find the files with outlines: pairs of an image's name without suffix and the file's name.

    Raises
    ------
    DatasetError
        Two files are for one image.
    """
    found: dict[str, str] = {}
    for name in names:
        file_name = PurePosixPath(name).name
        suffix = next((suffix for suffix in SUFFIXES[form] if file_name.lower().endswith(suffix)), None)
        if suffix is None:
            continue
        stem = file_name[: -len(suffix)]
        if stem in found:
            raise DatasetError(f"{found[stem]} and {name} are both for the image {stem}")
        found[stem] = name
    yield from found.items()


def parse_geojson(data: bytes, name: str) -> list[Outline]:
    """Read a feature collection, a list of features or one feature as QuPath writes them.

    Points and lines have no area and are left out. `name` is the file's, for messages.

    Raises
    ------
    DatasetError
        It is no GeoJSON, or a geometry is malformed.
    """
    try:
        read = json.loads(data)
        if isinstance(read, dict):
            features = read["features"] if read["type"] == "FeatureCollection" else [read]
        else:
            features = read
        return [
            _outline(rings, feature.get("properties") or {})
            for feature in features
            if (rings := _rings_of(feature["geometry"]))
        ]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{name} is no GeoJSON of features: {type(error).__name__}: {error}") from error


def parse_rois(data: bytes, name: str) -> list[Outline]:
    """Read an ROI file or a zip archive of them; the class is the property ``class``, else the group's number.

    Points, lines and angles have no area and are left out. `name` is the file's, for messages.

    Raises
    ------
    DatasetError
        A file is damaged.
    """
    try:
        return [
            Outline([np.asarray(ring, np.float64)[:, ::-1] for ring in roi.coordinates(multi=True)], _class_of_roi(roi))
            for roi in _rois(data)
            if roi.roitype in _AREAS
        ]
    except (ValueError, IndexError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise DatasetError(f"{name} holds no ROIs of ImageJ: {error}") from error


def _rings_of(geometry: Mapping[str, Any]) -> list[npt.NDArray[np.float64]]:
    match geometry["type"]:
        case "Polygon":
            polygons = [geometry["coordinates"]]
        case "MultiPolygon":
            polygons = geometry["coordinates"]
        case "GeometryCollection":
            return [ring for part in geometry["geometries"] for ring in _rings_of(part)]
        case _:
            return []
    rings = [np.asarray(ring, np.float64) for polygon in polygons for ring in polygon]
    if not all(ring.ndim == 2 and ring.shape[1] >= 2 and np.isfinite(ring).all() for ring in rings):
        raise ValueError("a ring is no list of finite x and y")
    return [ring[:, 1::-1] for ring in rings]


def _outline(rings: list[npt.NDArray[np.float64]], properties: Mapping[str, Any]) -> Outline:
    kind, name = properties.get("objectType"), properties.get("name")
    return Outline(
        rings,
        _classification(properties),
        kind if isinstance(kind, str) else None,
        name if isinstance(name, str) else None,
    )


def _classification(properties: Mapping[str, Any]) -> str | None:
    classification = properties.get("classification")
    if isinstance(classification, Mapping):
        name = classification.get("name")
        return name if isinstance(name, str) else None
    return classification if isinstance(classification, str) else None


def _rois(data: bytes) -> Iterator[ImagejRoi]:
    if not data.startswith(b"PK"):
        yield ImagejRoi.frombytes(data)
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in sorted(archive.namelist()):
            if member.lower().endswith(".roi"):
                yield ImagejRoi.frombytes(archive.read(member))


def _class_of_roi(roi: ImagejRoi) -> str | None:
    for line in (roi.props or "").splitlines():
        key, separator, value = line.partition(":")
        if separator and key.strip() == "class":
            return str(value.strip())
    return str(roi.group) if roi.group else None
