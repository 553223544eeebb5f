"""How many objects of each class a method finds, by their bounding boxes.

The truth are the annotated boxes where there are some, else the bounding boxes of the masks. A method that knows no
classes is judged without regard to them.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.boxes import Boxes, as_boxes
from monolayer_core.class_counts import ClassCounts, add_up, count_by_class, count_objects, describe
from monolayer_core.measure import measure
from monolayer_trainer.dataset import Dataset, Sample


@dataclass(frozen=True, eq=False)
class Found:
    """Objects of an image and their classes.

    Attributes
    ----------
    labels : int32 (y, x)
        0 for background, 1 to N for objects.
    class_ids : int (object,)
        Index into `class_names` of object 1 to N.
    class_names : tuple of str
        Of the method, which may be others than those of the data set.
    """

    labels: LabelImage
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Detected:
    """Counts of one image.

    Attributes
    ----------
    objects : ClassCounts
        Of all objects without regard to their classes.
    classes : tuple of ClassCounts or None
        Of each class of the data set; None for a method that does not know these classes.
    """

    objects: ClassCounts
    classes: tuple[ClassCounts, ...] | None


def is_told_by_class(dataset: Dataset, samples: Sequence[Sample]) -> bool:
    """Tell whether counts by class say more than the other scores: several classes, or boxes instead of masks."""
    return len(dataset.classes) > 1 or any(sample.boxes is not None for sample in samples)


def truth_boxes(sample: Sample, labels: LabelImage) -> Boxes:
    """Annotated boxes of the objects of a sample, or the bounding boxes of its masks, ``(object, 4)``."""
    return boxes_of(labels) if sample.boxes is None else np.array(sample.boxes, np.float64).reshape(-1, 4)


def boxes_of(labels: LabelImage) -> Boxes:
    """Bounding boxes of the objects of a label image 1 to N, ``(object, 4)``."""
    return as_boxes(measure(labels).bbox_px)


def count_detected(dataset: Dataset, sample: Sample, truth: Found, found: Found) -> Detected:
    """Count what a method finds in one image.

    Parameters
    ----------
    dataset, sample
        The image.
    truth
        Its objects as annotated.
    found
        What the method says.
    """
    there, here = truth_boxes(sample, truth.labels), boxes_of(found.labels)
    together = count_objects(there, here)
    if set(found.class_names) != set(dataset.classes):
        return Detected(together, None)
    number_of = np.array([dataset.classes.index(name) for name in found.class_names])
    of_class = count_by_class(there, truth.class_ids, here, number_of[found.class_ids], len(dataset.classes))
    return Detected(together, of_class)


def summarise_classes(names: Sequence[str], images: Sequence[Sequence[ClassCounts]]) -> dict[str, dict[str, Any]]:
    """Scores of each class, pooled over images; nothing where there are no images."""
    return dict(zip(names, map(describe, add_up(images)), strict=False))


def write_class_counts(
    path: Path, names: Sequence[str], images: Sequence[tuple[Sample, Sequence[ClassCounts]]]
) -> None:
    """Write the counts of every image and class, one row each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ImageId", "group", "modality", "class", "truth", "prediction", "matched"])
        for sample, counts in images:
            for name, one in zip(names, counts, strict=True):
                row = [one.truth, one.prediction, one.matched]
                writer.writerow([sample.id, sample.group, sample.modality, name, *row])
