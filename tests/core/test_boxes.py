"""Boxes are compared and matched as an obvious, slow reference does it."""

import doctest
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monolayer_core import boxes, matching
from monolayer_core.boxes import as_boxes, box_iou, count_box_matches

GRID = 8


def pixels_of(box: np.ndarray) -> set[tuple[int, int]]:
    ymin, xmin, ymax, xmax = box.astype(int)
    return {(y, x) for y in range(ymin, ymax) for x in range(xmin, xmax)}


def some_boxes(most: int) -> st.SearchStrategy[np.ndarray]:
    corners = st.integers(0, most).flatmap(lambda n: arrays(np.int64, (n, 4), elements=st.integers(0, GRID // 2)))
    return corners.map(as_boxes)


@given(some_boxes(4), some_boxes(4))
def test_iou_is_that_of_the_pixels_covered(first: np.ndarray, second: np.ndarray):
    expected = np.zeros((len(first), len(second)))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            union = pixels_of(a) | pixels_of(b)
            expected[i, j] = len(pixels_of(a) & pixels_of(b)) / len(union) if union else 0
    np.testing.assert_allclose(box_iou(first, second), expected)


@given(some_boxes(4), some_boxes(4), st.sampled_from([0.2, 0.5, 0.75]))
def test_the_most_pairs_are_matched(truth: np.ndarray, prediction: np.ndarray, threshold: float):
    hits = box_iou(truth, prediction) >= threshold
    if len(truth) > len(prediction):
        hits = hits.T
    most = max(sum(hits[i, j] for i, j in enumerate(order)) for order in permutations(range(hits.shape[1]), len(hits)))
    assert count_box_matches(truth, prediction, threshold) == most


def test_one_prediction_serves_one_truth_though_it_fits_two():
    truth = np.array([[0.0, 0, 10, 10], [0, 1, 10, 11]])
    assert count_box_matches(truth, truth[:1]) == 1
    # The first comer takes its only partner from the other, which has another.
    assert (
        count_box_matches(np.array([[0.0, 0, 10, 10], [0, 4, 10, 14]]), np.array([[0.0, 2, 10, 12], [0, 7, 10, 17]]))
        == 2
    )


def test_an_iou_of_exactly_the_threshold_is_a_match():
    assert count_box_matches(np.array([[0.0, 0, 1, 2]]), np.array([[0.0, 0, 1, 1]])) == 1
    assert count_box_matches(np.array([[0.0, 0, 1, 2]]), np.array([[0.0, 0, 1, 0.99]])) == 0


def test_the_examples_are_right():
    assert doctest.testmod(boxes).failed == 0
    assert doctest.testmod(matching).failed == 0


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float):
    with pytest.raises(ValueError, match="IoU threshold"):
        count_box_matches(np.zeros((0, 4)), np.zeros((0, 4)), threshold)
