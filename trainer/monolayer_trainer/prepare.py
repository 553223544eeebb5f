"""From files in one of several layouts to a prepared data set: images, labels, split and a picture to check.

The folder is complete when ``dataset.json`` is there, which is written last. A second call with the same arguments and
images of the same names finds it and does nothing; an interrupted preparation is simply repeated.
"""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from monolayer_core.image_io import encode_png
from monolayer_core.model_card import sha256_of_file
from monolayer_trainer.contact_sheet import draw_contact_sheet
from monolayer_trainer.dataset import CONTACT_SHEET_NAME, DATASET_NAME, SPLIT_NAME, Dataset, Sample, Subset, write_split
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.groups import read_fields
from monolayer_trainer.readers.boxes import BoxesReader, BoxMasks
from monolayer_trainer.readers.labelled_image import LabelledImage, Reader
from monolayer_trainer.readers.layouts import Layout, open_reader
from monolayer_trainer.split import split_by_group
from monolayer_trainer.storing import write_image, write_labels

Kind: TypeAlias = Layout | Literal["auto"]
Progress: TypeAlias = Callable[[int, int], None]

log = logging.getLogger(__name__)


def prepare(
    source: Path,
    destination: Path,
    *,
    kind: Kind = "auto",
    boxes: BoxMasks = "refined",
    exclusions: Path | None = None,
    groups: Path | None = None,
    modalities: Path | None = None,
    validation_fraction: float = 0.2,
    seed: int = 0,
    name: str | None = None,
    licence: str = "unknown",
    source_url: str = "",
    classes: Sequence[str] | None = None,
    confluency_of: Literal["cell", "nucleus"] = "cell",
    pixel_size_um: float | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Prepare a data set for training.

    Parameters
    ----------
    source
        Folder or zip file in the layout `kind`.
    destination
        Folder to write; made if it is not there.
    kind
        Layout of the source; ``auto`` looks at its files.
    boxes
        What is drawn into annotated boxes, see `monolayer_trainer.readers.boxes`; without effect on other layouts.
    exclusions
        Table of annotated boxes to drop or to relabel, see `monolayer_trainer.readers.box_table`.
    groups, modalities
        Tables of images that belong together and of the kind of each image, see `monolayer_trainer.groups`. Without
        groups every image is taken as a field of its own.
    validation_fraction, seed
        Of the split, see `monolayer_trainer.split`; a fraction of 0, which leaves nothing to judge by, is refused here.
    name, licence, source_url
        Written to the data set and from there into the model card; the name is the source's by default.
    classes
        Names of the classes; by default those the source names, else the word of `confluency_of`.
    confluency_of
        What the objects are.
    pixel_size_um
        Micrometres per pixel of every image, where the files do not say.
    limit
        Take this many images only, the first by name.
    progress
        Called with the number of images done and of all.

    Raises
    ------
    DatasetError
        A file is damaged or missing, or the destination holds a data set made with other arguments or of other images.
        Or `validation_fraction` does not lie between 0 and 1, or `limit` is less than 1: then nothing is written.
    """
    if not 0 < validation_fraction < 1:
        raise DatasetError(f"validation_fraction must lie between 0 and 1, not {validation_fraction}")
    if limit is not None and limit < 1:
        raise DatasetError(f"limit must be 1 or more, not {limit}")
    if source.resolve() == destination.resolve():
        raise DatasetError(f"{destination} is the source: the prepared data set needs a folder of its own")
    reader = open_reader(source, kind, classes or (), box_masks=boxes, exclusions=exclusions)
    arguments: dict[str, str | int | float | None] = {
        "source": source.name, "image_count": len(reader.ids), "image_names_sha256": _digest(reader.ids),
        "kind": kind, "boxes": boxes if isinstance(reader, BoxesReader) else None, "exclusions": _digest_of(exclusions),
        "groups": _digest_of(groups), "modalities": _digest_of(modalities),
        "validation_fraction": validation_fraction, "seed": seed, "name": name, "licence": licence,
        "source_url": source_url, "classes": None if classes is None else ",".join(classes),
        "confluency_of": confluency_of, "pixel_size_um": pixel_size_um, "limit": limit,
    }  # fmt: skip
    if (destination / DATASET_NAME).exists():
        return _reuse(destination, arguments)
    ids = reader.ids[:limit]
    if not ids:
        raise DatasetError(f"{source} holds no image with labels; left out: {'; '.join(reader.left_out[:5])}")
    group_of = read_fields(ids, groups, modalities)
    for folder in ("images", "labels"):
        (destination / folder).mkdir(parents=True, exist_ok=True)

    class_names = tuple(classes or reader.classes or (confluency_of,))
    samples, pixels_per_class = _convert(
        reader, group_of, destination, class_count=len(class_names), pixel_size_um=pixel_size_um, progress=progress
    )
    dataset = Dataset(
        folder=destination,
        name=name or source.stem,
        licence=licence,
        source=source_url,
        classes=class_names,
        confluency_of=confluency_of,
        samples=samples,
        pixels_per_class=pixels_per_class,
        left_out=reader.left_out,
        prepared_with=arguments,
    )
    side_of = split_by_group(ids, [s.group for s in samples], [s.modality for s in samples], validation_fraction, seed)
    write_split(destination / SPLIT_NAME, dataset.samples, side_of)
    (destination / CONTACT_SHEET_NAME).write_bytes(encode_png(draw_contact_sheet(dataset)))
    _report(dataset)
    unfinished = destination / f"{DATASET_NAME}.part"
    unfinished.write_text(dataset.model_dump_json(indent=1) + "\n", encoding="utf-8")
    unfinished.replace(destination / DATASET_NAME)
    return dataset


def _convert(
    reader: Reader,
    group_of: dict[str, tuple[str, str]],
    destination: Path,
    *,
    class_count: int,
    pixel_size_um: float | None,
    progress: Progress | None,
) -> tuple[tuple[Sample, ...], tuple[int, ...]]:
    """Write images and labels; give the samples and the pixels of background and of each class."""

    def convert(image_id: str) -> tuple[Sample, npt.NDArray[np.int64]]:
        read = reader.read(image_id)
        group, modality = group_of[image_id]
        sample = Sample(
            id=image_id,
            image=write_image(destination, image_id, read.pixels),
            labels=write_labels(destination, image_id, read.labels),
            group=group,
            modality=modality,
            objects=int(read.labels.max(initial=0)),
            object_classes=read.object_classes,
            pixel_size_um=read.pixel_size_um or pixel_size_um,
            boxes=None if read.boxes is None else tuple((y, x, b, r) for y, x, b, r in read.boxes.round(3).tolist()),
        )
        return sample, _count_pixels(read, class_count)

    samples: list[Sample] = []
    total = np.zeros(class_count + 1, np.int64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for sample, counts in pool.map(convert, group_of):
            samples.append(sample)
            total += counts
            if progress is not None:
                progress(len(samples), len(group_of))
    return tuple(samples), tuple(int(count) for count in total)


def counts_by_modality(dataset: Dataset) -> dict[tuple[str, str], int]:
    """Count the images of each ``(modality, side of the split)``, for a report."""
    sides: tuple[Subset, ...] = ("train", "validation")
    return dict(Counter((sample.modality, side) for side in sides for sample in dataset.subset(side)))


def _report(dataset: Dataset) -> None:
    """Log what cannot be read off the split or `left_out`; the caller shows those."""
    log.info("%d images with %d objects", len(dataset.samples), dataset.objects)
    if len(dataset.classes) > 1:
        for name, weight in zip(dataset.classes, dataset.class_weights, strict=True):
            log.info("class %s: weight %.3f", name, weight)


def _reuse(destination: Path, arguments: dict[str, str | int | float | None]) -> Dataset:
    dataset = Dataset.load(destination)
    other = sorted(key for key in arguments if dataset.prepared_with.get(key) != arguments[key])
    if other:
        raise DatasetError(
            f"{destination} holds a data set prepared with another {', '.join(other)}: "
            "delete it or choose another folder"
        )
    files = (name for sample in dataset.samples for name in (sample.image, sample.labels))
    missing = [name for name in files if not (destination / name).is_file()]
    if missing:
        raise DatasetError(f"{destination / missing[0]} is missing: delete {destination} and prepare it again")
    return dataset


def _digest_of(table: Path | None) -> str | None:
    return None if table is None else sha256_of_file(table)


def _digest(ids: Sequence[str]) -> str:
    """Tell apart sources of the same name: the folders of two data sets are often both called ``train``."""
    return hashlib.sha256("\0".join(ids).encode()).hexdigest()


def _count_pixels(read: LabelledImage, classes: int) -> npt.NDArray[np.int64]:
    """Pixels of background and of each class."""
    area = np.bincount(read.labels.ravel())
    class_of = np.zeros(len(area), np.intp)
    class_of[1:] = 1 if read.object_classes is None else np.asarray(read.object_classes) + 1
    return np.bincount(class_of, weights=area, minlength=classes + 1).astype(np.int64)
