"""Scores of a predicted label image against the truth.

Every function takes the two label images, truth first, and every score comes from one `Overlap`, so `score_image` costs
little more than any one of them. An object is a label with at least one pixel; its number, gaps in the
numbering, and its class mean nothing here.

Degenerate cases, the same everywhere:

* both images empty: the prediction is perfect, scores are 1 and errors 0;
* one of them empty: scores are 0;
* an object of one pixel is an object like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monolayer_core.overlap import Labels, Overlap, measure_overlap
from monolayer_core.runs import Int64Array

KAGGLE_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""IoU thresholds of the Data Science Bowl 2018."""


@dataclass(frozen=True)
class ImageScores:
    """All scores of one image; see the functions of the same names.

    Attributes
    ----------
    average_precision_50, average_precision_75, average_precision_90 : float
        `average_precision` at IoU 0.5, 0.75 and 0.9.
    truth_count, prediction_count : int
        Objects.
    count_error : int
        Objects too many (positive) or too few.
    truth_confluency_percent, prediction_confluency_percent : float
        Pixels that are covered, in percent of the image.
    confluency_error : float
        Percentage points of the image too many (positive) or too few.
    """

    kaggle_score: float
    average_precision_50: float
    average_precision_75: float
    average_precision_90: float
    panoptic_quality: float
    dice: float
    iou: float
    truth_count: int
    prediction_count: int
    count_error: int
    truth_confluency_percent: float
    prediction_confluency_percent: float
    confluency_error: float


def score_image(truth: Labels, prediction: Labels) -> ImageScores:
    """Score one image by everything this module knows.

    Raises
    ------
    ValueError
        The images differ in size or are no label images, see `overlap.measure_overlap`.
    """
    return score_overlap(measure_overlap(truth, prediction))


def score_overlap(overlap: Overlap) -> ImageScores:
    """Score an overlap that has been measured already."""
    precision_50, precision_75, precision_90 = _average_precision(overlap, (0.5, 0.75, 0.9))
    return ImageScores(
        kaggle_score=_kaggle_score(overlap),
        average_precision_50=precision_50,
        average_precision_75=precision_75,
        average_precision_90=precision_90,
        panoptic_quality=_panoptic_quality(overlap),
        dice=_dice(overlap),
        iou=_iou(overlap),
        truth_count=overlap.truth_count,
        prediction_count=overlap.prediction_count,
        count_error=overlap.prediction_count - overlap.truth_count,
        truth_confluency_percent=_percent(_area(overlap.truth_areas_px), overlap),
        prediction_confluency_percent=_percent(_area(overlap.prediction_areas_px), overlap),
        confluency_error=_confluency_error(overlap),
    )


def kaggle_score(truth: Labels, prediction: Labels) -> float:
    """Score of the Data Science Bowl 2018: mean over the IoU thresholds of TP / (TP + FP + FN).

    A pair of objects is a hit at a threshold when its IoU is *greater*, so a pair of exactly 0.5 is none at 0.5. The
    competition's score of a data set is the mean over its images.

    Examples
    --------
    The only object is found with two of its three pixels: an IoU of 2/3, above four of the ten thresholds.

    >>> kaggle_score(np.array([[1, 1, 1, 0]]), np.array([[1, 1, 0, 0]]))
    0.4
    """
    return _kaggle_score(measure_overlap(truth, prediction))


def average_precision(truth: Labels, prediction: Labels, thresholds: Sequence[float] = (0.5,)) -> list[float]:
    """Average precision in the StarDist convention: TP / (TP + FP + FN) at each IoU threshold.

    Unlike Kaggle's, a pair is a match when its IoU is *at least* the threshold. Objects are matched one to one so that
    there are as many matches as possible; above 0.5 the matching is unique, at 0.5 and below it is found by augmenting
    paths (`Overlap.count_matches`).

    Raises
    ------
    ValueError
        A threshold is not above 0 and at most 1, or the images are no label images of one size.

    Examples
    --------
    >>> average_precision(np.array([[1, 1, 0, 2]]), np.array([[1, 0, 0, 2]]), thresholds=[0.5, 0.75])
    [1.0, 0.3333333333333333]
    """
    return _average_precision(measure_overlap(truth, prediction), thresholds)


def panoptic_quality(truth: Labels, prediction: Labels) -> float:
    """Panoptic quality: the sum of the IoU of all pairs above 0.5, over TP + FP / 2 + FN / 2.

    Method: Kirillov et al., Panoptic Segmentation, CVPR 2019.
    """
    return _panoptic_quality(measure_overlap(truth, prediction))


def dice(truth: Labels, prediction: Labels) -> float:
    """Dice coefficient of the foregrounds: twice the shared pixels over the sum of both areas."""
    return _dice(measure_overlap(truth, prediction))


def iou(truth: Labels, prediction: Labels) -> float:
    """Intersection over union of the foregrounds, also called the Jaccard index."""
    return _iou(measure_overlap(truth, prediction))


def count_error(truth: Labels, prediction: Labels) -> int:
    """Objects predicted too many (positive) or too few (negative)."""
    overlap = measure_overlap(truth, prediction)
    return overlap.prediction_count - overlap.truth_count


def confluency_error(truth: Labels, prediction: Labels) -> float:
    """Confluency predicted too high (positive) or too low (negative), in percentage points of the image."""
    return _confluency_error(measure_overlap(truth, prediction))


def _kaggle_score(overlap: Overlap) -> float:
    values = overlap.iou
    return float(np.mean([_jaccard(overlap, int(np.count_nonzero(values > t))) for t in KAGGLE_THRESHOLDS]))


def _average_precision(overlap: Overlap, thresholds: Sequence[float]) -> list[float]:
    return [_jaccard(overlap, overlap.count_matches(threshold)) for threshold in thresholds]


def _jaccard(overlap: Overlap, matches: int) -> float:
    """TP / (TP + FP + FN) for a number of matches; 1 where there are no objects at all."""
    return _ratio(matches, overlap.truth_count + overlap.prediction_count - matches)


def _panoptic_quality(overlap: Overlap) -> float:
    values = overlap.iou
    return _ratio(float(values[values > 0.5].sum()), (overlap.truth_count + overlap.prediction_count) / 2)


def _dice(overlap: Overlap) -> float:
    return _ratio(2 * _shared(overlap), _area(overlap.truth_areas_px) + _area(overlap.prediction_areas_px))


def _iou(overlap: Overlap) -> float:
    shared = _shared(overlap)
    return _ratio(shared, _area(overlap.truth_areas_px) + _area(overlap.prediction_areas_px) - shared)


def _confluency_error(overlap: Overlap) -> float:
    return _percent(_area(overlap.prediction_areas_px) - _area(overlap.truth_areas_px), overlap)


def _percent(area_px: int, overlap: Overlap) -> float:
    return 100 * area_px / overlap.pixels if overlap.pixels else 0.0


def _shared(overlap: Overlap) -> int:
    return int(overlap.shared_px.sum())


def _area(areas_px: Int64Array) -> int:
    return int(areas_px.sum())


def _ratio(part: float, whole: float) -> float:
    """Divide; nothing out of nothing is 1, because nothing was missed and nothing invented."""
    return part / whole if whole else 1.0
