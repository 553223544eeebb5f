"""Found and missed objects by their size: what a mean over images hides, where small objects are many.

A true object is found at an IoU threshold where a predicted one overlaps it with at least that IoU. Above 0.5 a
predicted object can do so for one true object only, so nothing is found twice; at exactly 0.5 two might share one.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.overlap import Labels, measure_overlap

DIAMETER_EDGES_PX = (8.0, 16.0, 32.0, 64.0)
"""Between the classes of size: each is twice as wide as the one before."""

FOUND_IOU = 0.5
CLOSELY_FOUND_IOU = 0.75


@dataclass(frozen=True)
class SizeCounts:
    """Objects of one class of size in one image, or in several: add them up.

    Attributes
    ----------
    truth : int
        Objects there are.
    found, closely_found : int
        Those of them that a predicted object overlaps with an IoU of at least 0.5, or 0.75.
    prediction : int
        Objects of this size that were predicted.
    invented : int
        Those of them that overlap no true object with an IoU of at least 0.5.
    """

    truth: int = 0
    found: int = 0
    closely_found: int = 0
    prediction: int = 0
    invented: int = 0

    def __add__(self, other: "SizeCounts") -> "SizeCounts":
        return SizeCounts(
            truth=self.truth + other.truth,
            found=self.found + other.found,
            closely_found=self.closely_found + other.closely_found,
            prediction=self.prediction + other.prediction,
            invented=self.invented + other.invented,
        )


def count_by_size(truth: Labels, prediction: Labels) -> tuple[SizeCounts, ...]:
    """Count the objects of an image by the diameter of a circle of their area.

    Parameters
    ----------
    truth, prediction : integer (y, x)
        Label images: 0 for background, any other number above 0 an object.

    Returns
    -------
    tuple of SizeCounts
        One for each class of size, see `size_names`.

    Raises
    ------
    ValueError
        The images differ in size or are no label images, see `overlap.measure_overlap`.

    Examples
    --------
    Of two objects the small one (diameter 2.3) is missed, the large one (11.3) found with 90 of its 100 pixels.

    >>> truth = np.zeros((20, 20), int)
    >>> truth[0:2, 0:2], truth[5:15, 5:15] = 1, 2
    >>> prediction = np.zeros((20, 20), int)
    >>> prediction[5:15, 5:14] = 1
    >>> tiny, small, *_ = count_by_size(truth, prediction)
    >>> (tiny.truth, tiny.found), (small.truth, small.found, small.closely_found)
    ((1, 0), (1, 1, 1))
    """
    overlap = measure_overlap(truth, prediction)
    best_of_truth = _best(overlap.truth_index, overlap.iou, overlap.truth_count)
    best_of_prediction = _best(overlap.prediction_index, overlap.iou, overlap.prediction_count)
    truth_class = _class_of(overlap.truth_areas_px)
    prediction_class = _class_of(overlap.prediction_areas_px)
    counts = []
    for index in range(len(DIAMETER_EDGES_PX) + 1):
        of_truth = best_of_truth[truth_class == index]
        of_prediction = best_of_prediction[prediction_class == index]
        counts.append(
            SizeCounts(
                truth=of_truth.size,
                found=int(np.count_nonzero(of_truth >= FOUND_IOU)),
                closely_found=int(np.count_nonzero(of_truth >= CLOSELY_FOUND_IOU)),
                prediction=of_prediction.size,
                invented=int(np.count_nonzero(of_prediction < FOUND_IOU)),
            )
        )
    return tuple(counts)


def size_names() -> tuple[str, ...]:
    """Names of the classes of size, in pixels of diameter.

    Examples
    --------
    >>> size_names()
    ('below 8', '8 to 16', '16 to 32', '32 to 64', '64 and more')
    """
    edges = [f"{edge:g}" for edge in DIAMETER_EDGES_PX]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    return (f"below {edges[0]}", *between, f"{edges[-1]} and more")


def _best(index: npt.NDArray[np.int64], iou: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Largest IoU of each object, 0 where it overlaps nothing."""
    best = np.zeros(count)
    np.maximum.at(best, index, iou)
    return best


def _class_of(areas_px: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    diameters_px = np.sqrt(4 * areas_px / np.pi)
    return np.searchsorted(DIAMETER_EDGES_PX, diameters_px, side="right")
