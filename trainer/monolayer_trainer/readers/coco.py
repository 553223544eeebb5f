"""A COCO data set: a JSON file with ``images``, ``annotations`` and ``categories``, and the images beside it.

The service writes one for each image, ``NAME.coco.json``: these are read together.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from monolayer_core.errors import RunLengthError
from monolayer_core.ring_fill import IndexArray, fill_rings, paint_objects
from monolayer_core.rle import parse_coco
from monolayer_core.run_text import write_five_bits
from monolayer_core.truth import number_consecutively
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.decoding import decode
from monolayer_trainer.readers.files import Files, images_by_stem, open_files
from monolayer_trainer.readers.labelled_image import LabelledImage

SUFFIX = ".coco.json"
"""End of the names of data sets that the service wrote, one an image."""


class CocoReader:
    """Reads images and their annotations: polygons, or run lengths, compressed or not. Crowds are left out.

    Parameters
    ----------
    source
        Folder or zip file with one data set file, or with those that the service wrote.
    classes
        Names of the classes in their order; by default the categories in the order of their numbers. With one class
        all objects are of it.

    Raises
    ------
    DatasetError
        There is no data set file, or it is malformed, or an object is of a category that is not among several
        `classes`.
    """

    def __init__(self, source: Path, classes: Sequence[str] = ()) -> None:
        self._files = open_files(source)
        self._name, content = find_coco(self._files)
        if content is None:
            raise DatasetError(f"{source} holds no COCO data set: a JSON file with images, annotations and categories")
        try:
            names = {int(one["id"]): str(one["name"]) for one in content["categories"]}
            stems = {one["id"]: PurePosixPath(one["file_name"]).stem for one in content["images"]}
            self._annotations: dict[str, list[Mapping[str, Any]]] = {stem: [] for stem in stems.values()}
            for annotation in content["annotations"]:
                if not annotation.get("iscrowd"):
                    self._annotations[stems[annotation["image_id"]]].append(annotation)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{self._name} is malformed: {type(error).__name__}: {error}") from error
        self.classes = tuple(classes) or tuple(names[number] for number in sorted(names))
        self._class_index = self._index_classes(names)
        self._images = images_by_stem(self._files.names)
        self.ids = tuple(sorted(self._images.keys() & self._annotations.keys()))
        if not self.ids:
            raise DatasetError(f"{source}: none of the images in {self._name} is there")
        self.left_out = tuple(
            [f"{self._images[i]}: not in {self._name}" for i in sorted(self._images.keys() - self._annotations.keys())]
            + [
                f"{i}: in {self._name}, but no such image"
                for i in sorted(self._annotations.keys() - self._images.keys())
            ]
        )

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and its objects; where they overlap the smaller one keeps the pixel."""
        name = self._images[image_id]
        image = decode(self._files.read(name), name)
        height, width = image.pixels.shape[:2]
        annotations = self._annotations[image_id]
        try:
            objects = [_pixels_of(annotation["segmentation"], height, width) for annotation in annotations]
            drawn = paint_objects(objects, height, width)
            visible = np.unique(drawn[drawn > 0]).tolist()
            object_classes = tuple(self._class_index[annotations[number - 1]["category_id"]] for number in visible)
        except (KeyError, TypeError, ValueError, RunLengthError) as error:
            raise DatasetError(f"{self._name}, image {image_id}: {type(error).__name__}: {error}") from error
        return LabelledImage(
            image.pixels,
            number_consecutively(drawn),
            object_classes if len(self.classes) > 1 else None,
            image.pixel_size_um,
        )

    def _index_classes(self, names: Mapping[int, str]) -> dict[int, int]:
        if len(self.classes) == 1:
            return dict.fromkeys(names, 0)
        used = {one["category_id"] for annotations in self._annotations.values() for one in annotations}
        unknown = [names.get(number, str(number)) for number in sorted(used) if names.get(number) not in self.classes]
        if unknown:
            raise DatasetError(
                f"{self._name} holds the category {unknown[0]}, the classes are {', '.join(self.classes)}"
            )
        return {number: self.classes.index(name) for number, name in names.items() if name in self.classes}


def find_coco(files: Files) -> tuple[str, dict[str, Any] | None]:
    """Find the file that holds a data set, and read it; None where there is none.

    Several become one where all are called as the service calls them.

    Raises
    ------
    DatasetError
        There are several others.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in files.names:
        if name.lower().endswith(".json"):
            try:
                content = json.loads(files.read(name))
            except ValueError:
                continue
            if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
                found[name] = content
    if len(found) < 2:
        return next(iter(found.items()), ("", None))
    if not all(name.lower().endswith(SUFFIX) for name in found):
        raise DatasetError(f"{' and '.join(sorted(found))} are all COCO data sets: leave one, or those in *{SUFFIX}")
    return f"{min(found)} and others", _joined(found)


def _joined(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Put data sets together: categories of one name are one, images are numbered anew."""
    number_of: dict[str, int] = {}
    set_of: dict[str, str] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, content in sets.items():
        try:
            category, image_number = {}, {}
            for one in content["categories"]:
                category[one["id"]] = number_of.setdefault(str(one["name"]), len(number_of) + 1)
            for one in content["images"]:
                stem = PurePosixPath(one["file_name"]).stem
                if stem in set_of:
                    raise DatasetError(f"{set_of[stem]} and {name} are both for the image {stem}")
                set_of[stem] = name
                image_number[one["id"]] = len(images)
                images.append({**one, "id": len(images)})
            for one in content["annotations"]:
                numbers = {"image_id": image_number[one["image_id"]], "category_id": category[one["category_id"]]}
                annotations.append({**one, **numbers})
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{name} is malformed: {type(error).__name__}: {error}") from error
    categories = [{"id": number, "name": name} for name, number in number_of.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _pixels_of(segmentation: Any, height: int, width: int) -> IndexArray:  # noqa: ANN401 - whatever the file holds
    """Flat indices of an object's pixels from polygons (x, y, x, y, ...) or run lengths."""
    if isinstance(segmentation, list):
        rings = [np.asarray(flat, np.float64).reshape(-1, 2)[:, ::-1] for flat in segmentation]
        if not all(np.isfinite(ring).all() for ring in rings):
            raise ValueError("a coordinate is not finite")
        return np.unique(np.concatenate([np.zeros(0, np.intp), *(fill_rings([ring], height, width) for ring in rings)]))
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"run lengths are for {segmentation['size']}, the image measures {[height, width]}")
    counts = segmentation["counts"]
    if not isinstance(counts, str):
        numbers = np.asarray(counts, np.int64)
        (counts,) = write_five_bits(numbers, np.array([numbers.size]))
    runs = parse_coco([counts], height, width)
    lengths = runs.lengths
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.repeat(runs.starts, lengths) + within  # down the columns
    return np.asarray(place % height * width + place // height, dtype=np.intp)
