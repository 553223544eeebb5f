"""Found and missed objects of each class, matched by their bounding boxes.

Objects of one class are matched one to one with a box IoU of at least 0.5, as many as possible; an object of the right
place and the wrong class is one missed and one invented. The counts of images add up, so that precision, recall and F1
are those of all objects together, whatever the number of images or folds they came from.

Degenerate cases, as in `monolayer_core.metrics`: where there is nothing to find and nothing is found, scores are 1;
where only one of the two is empty they are 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monolayer_core.boxes import Boxes, count_box_matches

MATCH_IOU = 0.5


@dataclass(frozen=True)
class ClassCounts:
    """Objects of one class in one image, or in several: add them up.

    Attributes
    ----------
    truth, prediction, matched : int
        Objects there are, objects found, and pairs of the two.
    count_error : int
        Sum over the images of how many objects too many or too few were found, each taken as positive.
    images : int
        Images counted.
    """

    truth: int = 0
    prediction: int = 0
    matched: int = 0
    count_error: int = 0
    images: int = 0

    def __add__(self, other: "ClassCounts") -> "ClassCounts":
        return ClassCounts(
            truth=self.truth + other.truth,
            prediction=self.prediction + other.prediction,
            matched=self.matched + other.matched,
            count_error=self.count_error + other.count_error,
            images=self.images + other.images,
        )

    @property
    def precision(self) -> float:
        """Share of the objects found that are there."""
        return _share(self.matched, self.prediction, self.truth)

    @property
    def recall(self) -> float:
        """Share of the objects there that were found."""
        return _share(self.matched, self.truth, self.prediction)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 matched / (truth + prediction)."""
        return _share(2 * self.matched, self.truth + self.prediction, 0)

    @property
    def count_error_per_image(self) -> float:
        """Mean over the images of the absolute error of the count; 0 without images."""
        return self.count_error / self.images if self.images else 0.0


def count_objects(truth: Boxes, prediction: Boxes) -> ClassCounts:
    """Count the objects of one image without regard to classes."""
    return ClassCounts(
        truth=len(truth),
        prediction=len(prediction),
        matched=count_box_matches(truth, prediction, MATCH_IOU),
        count_error=abs(len(prediction) - len(truth)),
        images=1,
    )


def count_by_class(
    truth: Boxes,
    truth_classes: npt.NDArray[np.integer],
    prediction: Boxes,
    prediction_classes: npt.NDArray[np.integer],
    class_count: int,
) -> tuple[ClassCounts, ...]:
    """Count the objects of one image by class.

    Parameters
    ----------
    truth, prediction : float64 (object, 4)
        Boxes, see `monolayer_core.boxes`.
    truth_classes, prediction_classes : integer (object,)
        Index of the class of each, 0 to `class_count` - 1.
    class_count : int
        Number of classes.

    Returns
    -------
    tuple of ClassCounts
        One per class, in their order.

    Raises
    ------
    ValueError
        There are not as many classes as boxes, or one is out of range.

    Examples
    --------
    Two cells of class 0 of which one is found, and one of class 1 that is taken for class 0.

    >>> there = np.array([[0.0, 0, 4, 4], [0, 5, 4, 9], [5, 0, 9, 4]])
    >>> found = np.array([[0.0, 0, 4, 4], [5, 0, 9, 4]])
    >>> red, white = count_by_class(there, np.array([0, 0, 1]), found, np.array([0, 0]), 2)
    >>> (red.matched, red.precision, red.recall), (white.matched, white.f1)
    ((1, 0.5, 0.5), (0, 0.0))
    """
    for boxes, classes in ((truth, truth_classes), (prediction, prediction_classes)):
        if len(boxes) != len(classes):
            raise ValueError(f"{len(boxes)} boxes and {len(classes)} classes do not fit together")
        if len(classes) and not 0 <= classes.min() <= classes.max() < class_count:
            raise ValueError(f"a class is not in 0 to {class_count - 1}")
    return tuple(
        count_objects(truth[truth_classes == index], prediction[prediction_classes == index])
        for index in range(class_count)
    )


def add_up(images: Iterable[Sequence[ClassCounts]]) -> tuple[ClassCounts, ...]:
    """Add up the counts of images, class by class; nothing for no images.

    Raises
    ------
    ValueError
        The images differ in their number of classes.
    """
    return tuple(sum(of_class, ClassCounts()) for of_class in zip(*images, strict=True))


def describe(counts: ClassCounts) -> dict[str, Any]:
    """Scores of one class as a JSON-able dict."""
    return {
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
        "count_error_per_image": counts.count_error_per_image,
        "truth_objects": counts.truth,
        "prediction_objects": counts.prediction,
        "matched_objects": counts.matched,
        "images": counts.images,
    }


def _share(part: int, whole: int, other: int) -> float:
    """Divide; nothing out of nothing is 1 where the `other` side is empty too, else 0."""
    if whole:
        return part / whole
    return 0.0 if other else 1.0
