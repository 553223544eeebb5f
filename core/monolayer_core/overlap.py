"""How the objects of two label images overlap: counted once, asked by every score.

Both images are read in one pass that counts the pixels of each pair of labels. Only pairs that really overlap are kept,
so a slide with ten thousand nuclei costs no table of ten thousand by ten thousand.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from monolayer_core.matching import count_maximum_matching
from monolayer_core.runs import Int64Array, Runs, lay_out

Labels: TypeAlias = npt.NDArray[np.integer] | npt.NDArray[np.bool_]
"""What is scored: a label image of any integer type, or a mask."""


@dataclass(frozen=True)
class Overlap:
    """Overlap of the objects of a truth and a prediction.

    An object is a label with at least one pixel: gaps in the numbering are no objects, and the numbers themselves mean
    nothing. Objects are numbered anew here, from 0, in ascending order of their labels.

    Attributes
    ----------
    truth_areas_px, prediction_areas_px : int64 (object,)
        Pixels of each object.
    truth_index, prediction_index : int64 (pair,)
        The pairs of objects that share pixels.
    shared_px : int64 (pair,)
        Pixels shared by each pair.
    pixels : int
        Pixels of the image.
    """

    truth_areas_px: Int64Array
    prediction_areas_px: Int64Array
    truth_index: Int64Array
    prediction_index: Int64Array
    shared_px: Int64Array
    pixels: int

    @property
    def truth_count(self) -> int:
        """Number of objects in the truth."""
        return self.truth_areas_px.size

    @property
    def prediction_count(self) -> int:
        """Number of objects in the prediction."""
        return self.prediction_areas_px.size

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of each pair, ``(pair,)``, above 0 and at most 1."""
        union = self.truth_areas_px[self.truth_index] + self.prediction_areas_px[self.prediction_index] - self.shared_px
        return self.shared_px / union

    def swapped(self) -> "Overlap":
        """Return the same overlap with truth and prediction exchanged."""
        return Overlap(
            truth_areas_px=self.prediction_areas_px,
            prediction_areas_px=self.truth_areas_px,
            truth_index=self.prediction_index,
            prediction_index=self.truth_index,
            shared_px=self.shared_px,
            pixels=self.pixels,
        )

    def count_matches(self, threshold: float) -> int:
        """Count true positives: the most pairs of IoU >= `threshold` in which no object occurs twice.

        Above 0.5 an object has at most one such partner, so counting pairs is enough. At 0.5 and below it may have
        several; then a maximum matching is found by augmenting paths, which is the number of matches that StarDist's
        assignment (matches first, then the sum of IoU) arrives at.

        Raises
        ------
        ValueError
            `threshold` is not above 0 and at most 1.
        """
        if not 0 < threshold <= 1:
            raise ValueError(f"an IoU threshold lies above 0 and is at most 1, not {threshold}")
        is_candidate = self.iou >= threshold
        if threshold > 0.5:
            return int(np.count_nonzero(is_candidate))
        return count_maximum_matching(self.truth_index[is_candidate], self.prediction_index[is_candidate])


def measure_overlap(truth: Labels, prediction: Labels) -> Overlap:
    """Count the pixels of every pair of objects of two label images.

    Parameters
    ----------
    truth, prediction : integer or bool (y, x)
        0 for background, any other number above 0 an object. A boolean mask is an image with one object.

    Raises
    ------
    ValueError
        The images differ in size, are not two-dimensional or not integer, or hold a negative number.
    """
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels.ndim != 2 or labels.dtype.kind not in "biu":
            raise ValueError(f"{name} is {labels.dtype} with {labels.ndim} axes: a label image is (y, x) of integers")
        if labels.size and labels.min() < 0:
            raise ValueError(f"{name} holds a negative number")
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape} pixels (y, x), prediction {prediction.shape}")

    return _count_pairs(truth.ravel(), prediction.ravel(), None)


def overlap_of_runs(truth: Runs, prediction: Runs) -> Overlap:
    """Count the pixels of every pair of objects straight from their runs, without painting them.

    Raises
    ------
    ValueError
        The images differ in size.
    RunLengthError
        Within one of them, two objects share a pixel or a run leaves the image.
    """
    if (truth.height, truth.width) != (prediction.height, prediction.width):
        raise ValueError(
            f"truth is {truth.height} by {truth.width} pixels, prediction {prediction.height} by {prediction.width}"
        )
    truth_values, truth_borders = lay_out(truth)
    prediction_values, prediction_borders = lay_out(prediction)
    borders = np.union1d(truth_borders, prediction_borders)
    # Between two neighbouring borders both images have one label each: that of the stretch that began last.
    starts = borders[:-1]
    truth_labels = truth_values[np.searchsorted(truth_borders, starts, side="right") - 1]
    prediction_labels = prediction_values[np.searchsorted(prediction_borders, starts, side="right") - 1]
    return _count_pairs(truth_labels, prediction_labels, np.diff(borders))


def _count_pairs(truth: Labels, prediction: Labels, pixels: Int64Array | None) -> Overlap:
    """Count pixels by pair of labels; each place stands for one pixel or for as many as `pixels` says."""
    columns = int(prediction.max(initial=0)) + 1
    table = (int(truth.max(initial=0)) + 1) * columns
    keys = truth.astype(np.int64) * columns + prediction.astype(np.int64)
    if table <= 4 * keys.size + 65536:
        counts = np.bincount(keys, weights=pixels, minlength=table).astype(np.int64)
        pairs = np.flatnonzero(counts)
        counts = counts[pairs]
    else:  # a table far larger than the image: sorting is cheaper, and its memory is bounded
        pairs, keys = np.unique(keys, return_inverse=True)
        counts = np.bincount(keys, weights=pixels, minlength=pairs.size).astype(np.int64)
    truth_labels, prediction_labels = np.divmod(pairs, columns)

    truth_ids, truth_of_pair = np.unique(truth_labels, return_inverse=True)
    prediction_ids, prediction_of_pair = np.unique(prediction_labels, return_inverse=True)
    truth_areas = np.bincount(truth_of_pair, weights=counts).astype(np.int64)
    prediction_areas = np.bincount(prediction_of_pair, weights=counts).astype(np.int64)
    is_overlap = (truth_labels > 0) & (prediction_labels > 0)
    return Overlap(
        truth_areas_px=truth_areas[truth_ids > 0],
        prediction_areas_px=prediction_areas[prediction_ids > 0],
        truth_index=truth_of_pair[is_overlap] - int(np.count_nonzero(truth_ids == 0)),
        prediction_index=prediction_of_pair[is_overlap] - int(np.count_nonzero(prediction_ids == 0)),
        shared_px=counts[is_overlap],
        pixels=int(counts.sum()),
    )
