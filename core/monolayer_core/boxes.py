"""Axis-aligned boxes: how well they agree, and how many can be matched one to one.

A box is ``ymin, xmin, ymax, xmax`` in pixels, the pixel (0, 0) spanning 0 to 1; so the box of rows 2 to 4 runs from 2
to 5.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from monolayer_core.matching import count_maximum_matching

Boxes: TypeAlias = npt.NDArray[np.float64]
"""``(box, 4)``: ymin, xmin, ymax, xmax."""


def as_boxes(bbox_px: npt.NDArray[np.integer]) -> Boxes:
    """Take bounding boxes ``y, x, height, width``, as `measure` gives them, for boxes.

    Examples
    --------
    >>> as_boxes(np.array([[2, 3, 5, 4]]))
    array([[2., 3., 7., 7.]])
    """
    boxes = bbox_px.reshape(-1, 4).astype(np.float64)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def box_iou(first: Boxes, second: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union of every box of `first` with every box of `second`.

    Returns
    -------
    float64 (first, second)
        0 to 1; 0 for boxes without area.

    Examples
    --------
    >>> box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 1, 2, 3], [5, 5, 6, 6]])).round(3)
    array([[0.333, 0.   ]])
    """
    first, second = first.reshape(-1, 1, 4), second.reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.maximum(sides, 0).prod(axis=2)
    union = (first[..., 2:] - first[..., :2]).prod(axis=2) + (second[..., 2:] - second[..., :2]).prod(axis=2) - shared
    iou: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return iou


def count_box_matches(truth: Boxes, prediction: Boxes, threshold: float = 0.5) -> int:
    """Count true positives: the most pairs of IoU >= `threshold` in which no box occurs twice.

    Unlike the masks of a label image, boxes overlap, so that a box may have several such partners at any threshold.

    Raises
    ------
    ValueError
        `threshold` is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"an IoU threshold lies above 0 and is at most 1, not {threshold}")
    of_truth, of_prediction = np.nonzero(box_iou(truth, prediction) >= threshold)
    return count_maximum_matching(of_truth, of_prediction)
