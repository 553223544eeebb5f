"""How well an object is outlined, as far as the network's answer tells: a prediction of its IoU with the true object.

The mean foreground probability says how sure the network is that something is there, less whether the outline is right.
A few more features do: probabilities between yes and no, the boundary output where objects are split, how the
probability falls off at the outline, and shape. A logistic function of their weighted sum is fitted by the trainer to
the IoU of objects it was not trained on; weights and intercept are in the card.

All features come from passes over the whole image, never from a loop over objects.
"""

from typing import NamedTuple, get_args

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.card_blocks import ObjectFeature, ObjectScore
from monolayer_core.measure import mean_values
from monolayer_core.row_runs import Float64Array, RowRuns
from monolayer_core.row_source import ArrayRows

OBJECT_FEATURES: tuple[ObjectFeature, ...] = get_args(ObjectFeature)
"""Names of the features, in the order of `describe_objects`."""

_LEVELS = np.arange(256) / 255
_UNCERTAIN = np.round(4 * 255 * _LEVELS * (1 - _LEVELS)).astype(np.uint8)
"""4 p (1 - p) as uint8: 255 for a probability of a half, 0 for certainty."""


def describe_objects(
    labels: LabelImage, runs: RowRuns, foreground: npt.NDArray[np.uint8], boundary: npt.NDArray[np.uint8] | None
) -> Float64Array:
    """Describe every object of a label image by the features named `OBJECT_FEATURES`.

    Parameters
    ----------
    labels : int32 (y, x)
        0 for background, 1 to N for objects, each with at least one pixel.
    runs : RowRuns
        Of the labels.
    foreground, boundary : uint8 (y, x)
        The network's probabilities, 0 to 255; without a boundary output None, and the feature is 0.

    Returns
    -------
    float64 (object, feature)
        ``uncertain``
            mean of 4 p (1 - p) of the foreground probability inside the object, 0 to 1;
        ``boundary``
            mean boundary probability inside;
        ``rim``, ``ring``
            mean foreground probability of the object's outermost pixels, and of the background pixels around it
            (0 where there are none);
        ``log_area``
            natural logarithm of the pixels;
        ``raggedness``
            natural logarithm of the squared number of outermost pixels over the area: about 2.3 for a disc, more for
            long and for ragged outlines;
        ``at_edge``
            1 where the object touches the edge of the image, else 0.
    """
    return features_of(
        runs,
        uncertain=mean_values(runs, ArrayRows(uncertain_plane(foreground))),
        boundary=None if boundary is None else mean_values(runs, ArrayRows(boundary)),
        outlines=sum_outlines(labels, foreground, runs.count),
    )


class Outlines(NamedTuple):
    """Pixels at the outlines of the objects, and the sums of their foreground probabilities; each ``(object,)``."""

    rim_px: Float64Array
    rim: Float64Array
    ring_px: Float64Array
    ring: Float64Array


def uncertain_plane(foreground: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give 4 p (1 - p) of each pixel, 0 to 255, whose mean is the feature ``uncertain``."""
    return np.asarray(cv2.LUT(foreground, _UNCERTAIN), dtype=np.uint8)


def sum_outlines(
    labels: LabelImage, foreground: npt.NDArray[np.uint8], count: int, rows: slice | None = None
) -> Outlines:
    """Count and sum up the rim and the ring of each object.

    Parameters
    ----------
    labels : int32 (y, x)
        Of the image, or of a band of it with the row above and the row below where there are such.
    foreground : uint8 (y, x)
        Of the same rows.
    count : int
        Objects of the whole image.
    rows : slice, optional
        Those rows of the two whose pixels count; all unless given.
    """
    rows = slice(None) if rows is None else rows
    neighbourhood = np.ones((3, 3), dtype=np.uint8)
    # OpenCV has no such filter for int32; float32 holds whole numbers up to 2**24, the shorter type is faster.
    numbers: npt.NDArray[np.uint16 | np.float32] = labels.astype(np.uint16 if count < 1 << 16 else np.float32)
    highest = np.asarray(cv2.dilate(numbers, neighbourhood))[rows]
    lowest = np.asarray(cv2.erode(numbers, neighbourhood))[rows]
    labels, foreground = labels[rows], foreground[rows]
    is_object = labels > 0
    rim = np.flatnonzero(is_object & (highest != lowest))
    ring = np.flatnonzero((highest > 0) & ~is_object)
    return Outlines(
        *_counts_and_sums(labels.ravel()[rim], foreground.ravel()[rim], count),
        *_counts_and_sums(highest.ravel()[ring].astype(np.int64), foreground.ravel()[ring], count),
    )


def features_of(
    runs: RowRuns, *, uncertain: Float64Array, boundary: Float64Array | None, outlines: Outlines
) -> Float64Array:
    """Put the features of `describe_objects` together.

    Parameters
    ----------
    runs : RowRuns
        The objects.
    uncertain, boundary : float64 (object,)
        Means over each object, 0 to 255, of `uncertain_plane` and of the boundary output (None: there is none).
    outlines : Outlines
        Of the whole image.
    """
    area_px = runs.areas_px
    return np.column_stack(
        [
            uncertain / 255,
            np.zeros(runs.count) if boundary is None else boundary / 255,
            outlines.rim / np.maximum(outlines.rim_px, 1) / 255,
            outlines.ring / np.maximum(outlines.ring_px, 1) / 255,
            np.log(area_px),
            np.log(np.maximum(outlines.rim_px, 1) ** 2 / area_px),
            runs.at_edge.astype(np.float64),
        ]
    )


def predict_iou(features: Float64Array, score: ObjectScore) -> Float64Array:
    """Predict the IoU, 0 to 1, of described objects ``(object, feature)`` with the true ones."""
    weights = np.array([score.weights.get(name, 0.0) for name in OBJECT_FEATURES])
    logit = features @ weights + score.intercept
    return np.asarray(0.5 + 0.5 * np.tanh(logit / 2))  # the logistic function, without overflow


def _counts_and_sums(
    labels: npt.NDArray[np.integer], values: npt.NDArray[np.uint8], count: int
) -> tuple[Float64Array, Float64Array]:
    """How many values each label 1 to `count` has, and their sum."""
    pixels = np.bincount(labels, minlength=count + 1)[1:].astype(np.float64)
    sums = np.bincount(labels, weights=values, minlength=count + 1)[1:]
    return pixels, sums.astype(np.float64, copy=False)
