"""A prepared data set: one folder whose ``dataset.json`` lists every image with its labels, group and modality.

The split lies beside it as ``split.csv``, a file that people can read, review and replace.
"""

import csv
import json
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from monolayer_core.arrays import LabelImage, Pixels
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.decoding import decode

DATASET_NAME = "dataset.json"
SPLIT_NAME = "split.csv"
CONTACT_SHEET_NAME = "contact_sheet.png"
SPLIT_FIELDS = ("ImageId", "group", "modality", "split")

Subset: TypeAlias = Literal["train", "validation"]


class Sample(BaseModel):
    """One image with labels; paths are relative to the folder of the data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    image: str
    labels: str
    group: str = Field(description="images of one group show the same field and stay on one side of the split")
    modality: str = Field(description="kind of picture, for example fluorescence")
    objects: int = Field(ge=0, description="number of objects")
    object_classes: tuple[int, ...] | None = Field(None, description="class index of object 1 to N; None for one class")
    pixel_size_um: float | None = Field(None, gt=0)
    boxes: tuple[tuple[float, float, float, float], ...] | None = Field(
        None, description="annotated ymin, xmin, ymax, xmax of object 1 to N in pixels; None where masks were annotated"
    )


class Dataset(BaseModel):
    """What ``dataset.json`` says, and where it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(exclude=True)
    name: str
    licence: str
    source: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    confluency_of: Literal["cell", "nucleus"]
    samples: tuple[Sample, ...]
    pixels_per_class: tuple[int, ...] = Field(description="background first, then the classes; over all images")
    left_out: tuple[str, ...] = Field((), description="what of the source could not be used, with the reason")
    prepared_with: dict[str, str | int | float | None] = Field(
        default_factory=dict, description="arguments of the preparation; a second run with the same does nothing"
    )

    @classmethod
    def load(cls, folder: Path) -> "Dataset":
        """Read a prepared data set.

        Raises
        ------
        DatasetError
            The folder holds no prepared data set, or ``dataset.json`` is damaged.
        """
        path = folder / DATASET_NAME
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError(f"{folder} holds no {DATASET_NAME}: run `monolayer-train prepare` first") from None
        try:
            return cls.model_validate({**json.loads(text), "folder": folder})
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{path} is no valid data set: {error}") from error

    @property
    def objects(self) -> int:
        """Number of objects in all images."""
        return sum(sample.objects for sample in self.samples)

    @property
    def class_weights(self) -> tuple[float, ...]:
        """Inverse pixel frequency of each class, without background, scaled to a mean of 1.

        A class that no image shows has no frequency. It weighs 1: nothing is learned of it either way, and a
        configuration takes positive weights only.
        """
        counts = np.array(self.pixels_per_class[1:], np.float64)
        is_there = counts > 0
        weights = np.ones_like(counts)
        if is_there.any():
            inverse = 1 / counts[is_there]
            weights[is_there] = inverse / inverse.mean()
        return tuple(weights.tolist())

    def subset(self, name: Subset) -> tuple[Sample, ...]:
        """Give the samples on one side of the split, in the order of the data set.

        Raises
        ------
        DatasetError
            ``split.csv`` is missing, or does not name every image once with ``train`` or ``validation``.
        """
        side_of = read_split(self.folder / SPLIT_NAME)
        missing = [sample.id for sample in self.samples if sample.id not in side_of]
        if missing:
            raise DatasetError(f"{self.folder / SPLIT_NAME} does not name the image {missing[0]}")
        return tuple(sample for sample in self.samples if side_of[sample.id] == name)

    def read(self, sample: Sample) -> tuple[Pixels, LabelImage, npt.NDArray[np.intp]]:
        """Pixels as stored, labels (int32, 1 to N) and the class index of each object.

        Raises
        ------
        DatasetError
            A file is missing, damaged, or image and labels differ in size.
        """
        pixels = decode(self._bytes(sample.image), sample.image).pixels
        labels = decode(self._bytes(sample.labels), sample.labels).pixels.astype(np.int32)
        if labels.shape != pixels.shape[:2]:
            raise DatasetError(f"{sample.labels} measures {labels.shape}, its image {pixels.shape[:2]} (y, x)")
        classes = np.zeros(sample.objects, np.intp) if sample.object_classes is None else sample.object_classes
        return pixels, labels, np.asarray(classes, np.intp)

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise DatasetError(f"{self.folder / name} is missing") from None


def read_split(path: Path) -> dict[str, Subset]:
    """Read which side each image is on.

    Raises
    ------
    DatasetError
        The file is missing, names an image twice, or a side other than ``train`` and ``validation``.
    """
    side_of: dict[str, Subset] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                image_id, side = row.get("ImageId"), row.get("split")
                if image_id is None or side not in ("train", "validation"):
                    raise DatasetError(f"{path}, line {line}: needs an ImageId and a split of train or validation")
                if image_id in side_of:
                    raise DatasetError(f"{path}, line {line}: {image_id} is named twice")
                side_of[image_id] = "train" if side == "train" else "validation"
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing") from None
    return side_of


def write_split(path: Path, samples: tuple[Sample, ...], side_of: dict[str, Subset]) -> None:
    """Write ``split.csv``, one row per image."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SPLIT_FIELDS)
        writer.writerows((s.id, s.group, s.modality, side_of[s.id]) for s in samples)
