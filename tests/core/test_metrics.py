"""Scores on images one can check by eye, and what must hold for any two images."""

import doctest
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_core import metrics
from monolayer_core.metrics import (
    average_precision,
    confluency_error,
    count_error,
    dice,
    iou,
    kaggle_score,
    panoptic_quality,
    score_image,
    score_overlap,
)
from monolayer_core.overlap import measure_overlap

EMPTY = np.zeros((3, 3), dtype=np.int32)
ONE_PIXEL = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
LEFT_COLUMN = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0]])
TOP_ROW = np.array([[1, 1, 1], [0, 0, 0], [0, 0, 0]])
TWO_THIRDS = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]])

shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))
pairs = shapes.flatmap(
    lambda shape: st.tuples(*(hnp.arrays(np.int32, shape, elements=st.integers(0, 4)) for _ in range(2)))
)


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(metrics).failed == 0


def test_a_column_and_a_row_share_one_pixel_of_five():
    assert iou(LEFT_COLUMN, TOP_ROW) == 1 / 5
    assert dice(LEFT_COLUMN, TOP_ROW) == 2 / 6
    assert kaggle_score(LEFT_COLUMN, TOP_ROW) == 0.0
    assert average_precision(LEFT_COLUMN, TOP_ROW, [0.2, 0.21]) == [1.0, 0.0]
    assert panoptic_quality(LEFT_COLUMN, TOP_ROW) == 0.0
    assert confluency_error(LEFT_COLUMN, TOP_ROW) == 0.0


def test_an_object_found_by_two_thirds_counts_at_four_of_ten_thresholds():
    assert kaggle_score(LEFT_COLUMN, TWO_THIRDS) == 0.4
    assert average_precision(LEFT_COLUMN, TWO_THIRDS, [0.5, 0.65, 0.7]) == [1.0, 1.0, 0.0]
    assert panoptic_quality(LEFT_COLUMN, TWO_THIRDS) == 2 / 3
    assert confluency_error(LEFT_COLUMN, TWO_THIRDS) == pytest.approx(-100 / 9)
    scores = score_image(LEFT_COLUMN, TWO_THIRDS)
    assert scores.truth_confluency_percent == pytest.approx(100 / 3)
    assert scores.prediction_confluency_percent == pytest.approx(200 / 9)


def test_one_of_two_objects_is_found_and_a_third_invented():
    truth = np.array([[1, 1, 0, 2, 2, 0]])
    prediction = np.array([[7, 7, 0, 0, 0, 9]])
    assert kaggle_score(truth, prediction) == pytest.approx(1 / 3)
    assert average_precision(truth, prediction) == [1 / 3]
    assert panoptic_quality(truth, prediction) == 1 / 2
    assert count_error(truth, prediction) == 0
    assert dice(truth, prediction) == 4 / 7
    assert iou(truth, prediction) == 2 / 5


def test_exactly_half_is_a_match_for_stardist_and_none_for_kaggle():
    truth, prediction = np.array([[1, 1]]), np.array([[1, 0]])
    assert average_precision(truth, prediction, [0.5]) == [1.0]
    assert kaggle_score(truth, prediction) == 0.0


def test_two_halves_of_an_object_are_one_match_and_one_false_positive():
    assert average_precision(np.array([[1, 1]]), np.array([[1, 2]]), [0.5]) == [1 / 2]


def test_low_thresholds_match_as_many_objects_as_possible():
    # Prediction 1 overlaps both true objects, prediction 2 the first alone: taking the best pair first would lose one.
    truth = np.array([[1, 1, 1, 1, 2]])
    prediction = np.array([[2, 1, 1, 1, 1]])
    assert measure_overlap(truth, prediction).iou.tolist() == [3 / 5, 1 / 4, 1 / 4]
    assert average_precision(truth, prediction, [0.25, 0.3]) == [1.0, 1 / 3]


@pytest.mark.parametrize(
    ("truth", "prediction", "score", "errors"),
    [
        pytest.param(EMPTY, EMPTY, 1.0, (0, 0.0), id="both empty: perfect"),
        pytest.param(EMPTY, ONE_PIXEL, 0.0, (1, 100 / 9), id="invented one pixel"),
        pytest.param(ONE_PIXEL, EMPTY, 0.0, (-1, -100 / 9), id="missed one pixel"),
        pytest.param(ONE_PIXEL, ONE_PIXEL, 1.0, (0, 0.0), id="one pixel found"),
        pytest.param(ONE_PIXEL, 40_000 * ONE_PIXEL, 1.0, (0, 0.0), id="the number of an object means nothing"),
        pytest.param(ONE_PIXEL, ONE_PIXEL.astype(bool), 1.0, (0, 0.0), id="a mask is an image with one object"),
        pytest.param(np.zeros((0, 3), dtype=int), np.zeros((0, 3), dtype=int), 1.0, (0, 0.0), id="no pixels at all"),
    ],
)
def test_degenerate_images(truth, prediction, score, errors):
    assert kaggle_score(truth, prediction) == score
    assert average_precision(truth, prediction, [0.3, 0.5, 0.9]) == [score] * 3
    assert panoptic_quality(truth, prediction) == score
    assert dice(truth, prediction) == score
    assert iou(truth, prediction) == score
    assert count_error(truth, prediction) == errors[0]
    assert confluency_error(truth, prediction) == pytest.approx(errors[1])


@given(pairs)
def test_swapping_the_images_swaps_false_positives_and_false_negatives(images):
    truth, prediction = images
    there, back = measure_overlap(truth, prediction), measure_overlap(prediction, truth)
    for threshold in (0.1, 0.5, 0.7):
        matches = there.count_matches(threshold)
        assert back.count_matches(threshold) == matches
        assert there.prediction_count - matches == back.truth_count - matches
        assert there.truth_count - matches == back.prediction_count - matches
    forward, backward = score_overlap(there), score_overlap(back)
    assert forward.kaggle_score == backward.kaggle_score
    assert forward.panoptic_quality == pytest.approx(backward.panoptic_quality)
    assert forward.count_error == -backward.count_error
    assert forward.confluency_error == -backward.confluency_error
    assert score_overlap(there.swapped()).panoptic_quality == pytest.approx(backward.panoptic_quality)


@given(pairs, st.permutations(range(1, 5)), st.integers(1, 1_000_000))
def test_relabelling_changes_nothing(images, order, factor):
    truth, prediction = images
    new_labels = np.array([0, *order]) * factor
    assert asdict(score_image(new_labels[truth], prediction)) == pytest.approx(asdict(score_image(truth, prediction)))
    assert asdict(score_image(truth, new_labels[prediction])) == pytest.approx(asdict(score_image(truth, prediction)))


@given(pairs)
def test_the_truth_itself_is_perfect(images):
    truth = images[0]
    scores = score_image(truth, truth)
    assert scores.kaggle_score == scores.average_precision_90 == scores.panoptic_quality == scores.dice == 1.0
    assert average_precision(truth, truth, [0.1, 1.0]) == [1.0, 1.0]


@given(pairs)
def test_all_scores_at_once_are_those_of_the_single_functions(images):
    scores = score_image(*images)
    assert scores.kaggle_score == kaggle_score(*images)
    assert [
        scores.average_precision_50,
        scores.average_precision_75,
        scores.average_precision_90,
    ] == average_precision(*images, [0.5, 0.75, 0.9])
    assert scores.panoptic_quality == panoptic_quality(*images)
    assert (scores.dice, scores.iou) == (dice(*images), iou(*images))
    assert scores.count_error == count_error(*images) == scores.prediction_count - scores.truth_count
    assert scores.confluency_error == confluency_error(*images)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.5])
def test_a_threshold_lies_above_zero_and_is_at_most_one(threshold):
    with pytest.raises(ValueError, match="IoU threshold"):
        average_precision(ONE_PIXEL, ONE_PIXEL, [threshold])
