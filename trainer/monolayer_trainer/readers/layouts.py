"""Finding the reader for a source."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.box_table import ANNOTATIONS_NAME
from monolayer_trainer.readers.boxes import BoxesReader, BoxMasks
from monolayer_trainer.readers.coco import CocoReader, find_coco
from monolayer_trainer.readers.dsb2018 import Dsb2018Reader
from monolayer_trainer.readers.files import is_image, open_files
from monolayer_trainer.readers.labelled_image import Reader
from monolayer_trainer.readers.outlines import SUFFIXES, OutlinesReader
from monolayer_trainer.readers.pairs import LabelsReader, MasksReader

Layout: TypeAlias = Literal["dsb2018", "masks", "labels", "boxes", "geojson", "rois", "coco"]


def open_reader(
    source: Path,
    layout: Layout | Literal["auto"],
    classes: Sequence[str] = (),
    *,
    box_masks: BoxMasks = "refined",
    exclusions: Path | None = None,
) -> Reader:
    """Open a folder or zip file in the given layout, or in the one its files show.

    `box_masks` and `exclusions` are for boxes, see `monolayer_trainer.readers.boxes.BoxesReader`; the former has no
    effect on other layouts.

    Raises
    ------
    DatasetError
        The layout cannot be told, the files do not follow it, it does not say which class an object has though there
        are several, or it has no boxes to exclude.
    """
    layout = find_layout(source) if layout == "auto" else layout
    if layout in ("dsb2018", "labels") and len(classes) > 1:
        raise DatasetError(f"the layout {layout} does not say which of the classes {', '.join(classes)} an object has")
    if exclusions is not None and layout != "boxes":
        raise DatasetError(f"exclusions name boxes, and the layout {layout} has none")
    match layout:
        case "dsb2018":
            return Dsb2018Reader(source)
        case "masks":
            return MasksReader(source, classes)
        case "labels":
            return LabelsReader(source)
        case "boxes":
            return BoxesReader(source, classes, masks=box_masks, exclusions=exclusions)
        case "geojson" | "rois":
            return OutlinesReader(source, layout, classes)
        case "coco":
            return CocoReader(source, classes)


def find_layout(source: Path) -> Layout:
    """Tell the layout from the names of the files, and that of COCO from what JSON files hold.

    Raises
    ------
    DatasetError
        The names fit no layout, or both masks and labels are there.
    """
    files = open_files(source)
    paths = [PurePosixPath(name) for name in files.names]
    if any(path.name == ANNOTATIONS_NAME for path in paths):
        return "boxes"
    folders = {path.parent for path in paths if is_image(path.name)}
    with_images = {folder.parent for folder in folders if folder.name == "images"}
    with_masks = {folder.parent for folder in folders if folder.name == "masks"}
    with_labels = {folder.parent for folder in folders if folder.name == "labels"}
    if with_images & with_masks and with_images & with_labels:
        raise DatasetError(f"{source} holds both masks and labels: say which kind is meant")
    if with_images & with_labels:
        return "labels"
    if len(with_images & with_masks) > 1 or (with_images & with_masks and _is_dsb2018(paths)):
        return "dsb2018"
    if with_images & with_masks:
        return "masks"
    for form in ("geojson", "rois"):
        if any(path.name.lower().endswith(SUFFIXES[form]) for path in paths):
            return form
    if find_coco(files)[1] is not None:
        return "coco"
    raise DatasetError(
        f"{source} fits no known layout: images with masks or labels of the same names in folders of these names, "
        f"images with {ANNOTATIONS_NAME}, with outlines in NAME.geojson, NAME.roi or NAME.zip, with a COCO data set, "
        f"or ImageId/images and ImageId/masks"
    )


def _is_dsb2018(paths: list[PurePosixPath]) -> bool:
    """Tell a single image of that layout: the file has the name of the folder above ``images``."""
    return any(len(path.parts) >= 3 and path.parts[-2] == "images" and path.stem == path.parts[-3] for path in paths)
