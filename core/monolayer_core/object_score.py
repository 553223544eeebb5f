"""How well an object is outlined, as far as the network's answer tells: a prediction of its IoU with the true object.

The mean foreground probability says how sure the network is that something is there, less whether the outline is right.
A few more features do: probabilities between yes and no, the boundary output where objects are split, how the
probability falls off at the outline, and shape. A logistic function of their weighted sum is fitted by the trainer to
the IoU of objects it was not trained on; weights and intercept are in the card.

All features come from passes over the whole image, never from a loop over objects.
"""

from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.card_blocks import ObjectFeature, ObjectScore
from monolayer_core.measure import mean_values
from monolayer_core.row_runs import Float64Array, RowRuns

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
    neighbourhood = np.ones((3, 3), dtype=np.uint8)
    shape_of_labels = labels.astype(np.float32)  # whole numbers up to 2**24; OpenCV has no such filter for int32
    highest = cv2.dilate(shape_of_labels, neighbourhood)
    lowest = cv2.erode(shape_of_labels, neighbourhood)
    is_object = labels > 0
    rim = np.flatnonzero(is_object & (highest != lowest))
    ring = np.flatnonzero((highest > 0) & ~is_object)
    rim_labels = labels.ravel()[rim]
    ring_labels = highest.ravel()[ring].astype(np.int64)
    rim_px = np.bincount(rim_labels, minlength=runs.count + 1)[1:]
    area_px = runs.areas_px
    at_edge = np.zeros(runs.count + 1)
    at_edge[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 1.0
    return np.column_stack(
        [
            mean_values(runs, np.asarray(cv2.LUT(foreground, _UNCERTAIN))) / 255,
            np.zeros(runs.count) if boundary is None else mean_values(runs, boundary) / 255,
            _means(rim_labels, foreground.ravel()[rim], runs.count) / 255,
            _means(ring_labels, foreground.ravel()[ring], runs.count) / 255,
            np.log(area_px),
            np.log(np.maximum(rim_px, 1) ** 2 / area_px),
            at_edge[1:],
        ]
    )


def predict_iou(features: Float64Array, score: ObjectScore) -> Float64Array:
    """Predict the IoU, 0 to 1, of described objects ``(object, feature)`` with the true ones."""
    weights = np.array([score.weights.get(name, 0.0) for name in OBJECT_FEATURES])
    logit = features @ weights + score.intercept
    return np.asarray(0.5 + 0.5 * np.tanh(logit / 2))  # the logistic function, without overflow


def _means(labels: npt.NDArray[np.integer], values: npt.NDArray[np.uint8], count: int) -> Float64Array:
    """Mean of the values of each label 1 to `count`, 0 where there is none."""
    pixels = np.bincount(labels, minlength=count + 1)[1:]
    sums = np.bincount(labels, weights=values, minlength=count + 1)[1:]
    return np.asarray(sums / np.maximum(pixels, 1))
