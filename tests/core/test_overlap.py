"""Pairs of overlapping objects: against a table made the slow way, and matchings against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from monolayer_core.overlap import measure_overlap, overlap_of_runs
from monolayer_core.runs import find_runs

shapes = st.tuples(st.integers(1, 10), st.integers(1, 10))
pairs = shapes.flatmap(
    lambda shape: st.tuples(*(hnp.arrays(np.int32, shape, elements=st.integers(0, 6)) for _ in range(2)))
)


def slow_iou_table(truth, prediction):
    """IoU of every true object (rows) with every predicted one (columns)."""
    table = [
        [
            np.sum((truth == t) & (prediction == p)) / np.sum((truth == t) | (prediction == p))
            for p in np.unique(prediction[prediction > 0])
        ]
        for t in np.unique(truth[truth > 0])
    ]
    return np.array(table).reshape(np.unique(truth[truth > 0]).size, np.unique(prediction[prediction > 0]).size)


def as_table(overlap):
    table = np.zeros((overlap.truth_count, overlap.prediction_count))
    table[overlap.truth_index, overlap.prediction_index] = overlap.iou
    return table


def test_pairs_are_counted_by_eye():
    truth = np.array([[1, 1, 0], [1, 0, 5]])
    prediction = np.array([[2, 2, 2], [0, 0, 4]])
    overlap = measure_overlap(truth, prediction)
    assert overlap.truth_areas_px.tolist() == [3, 1]
    assert overlap.prediction_areas_px.tolist() == [3, 1]
    assert overlap.truth_index.tolist() == [0, 1]
    assert overlap.prediction_index.tolist() == [0, 1]
    assert overlap.shared_px.tolist() == [2, 1]
    assert overlap.iou.tolist() == [2 / 4, 1]
    assert overlap.pixels == 6


@given(pairs)
def test_pairs_equal_the_slow_table(images):
    np.testing.assert_allclose(as_table(measure_overlap(*images)), slow_iou_table(*images))


@given(pairs, st.integers(1, 100_000))
def test_wide_gaps_in_the_labels_change_nothing(images, factor):
    truth, prediction = images
    spread = measure_overlap(truth.astype(np.int64) * factor, prediction.astype(np.uint32) * factor)
    np.testing.assert_array_equal(as_table(spread), as_table(measure_overlap(truth, prediction)))


@given(pairs)
def test_runs_overlap_as_their_pixels_do(images):
    by_runs = overlap_of_runs(find_runs(images[0]), find_runs(images[1]))
    by_pixels = measure_overlap(*images)
    np.testing.assert_array_equal(as_table(by_runs), as_table(by_pixels))
    assert by_runs.truth_areas_px.tolist() == by_pixels.truth_areas_px.tolist()
    assert by_runs.prediction_areas_px.tolist() == by_pixels.prediction_areas_px.tolist()
    assert by_runs.pixels == by_pixels.pixels


@given(pairs, st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.6]))
def test_matches_are_as_many_as_stardist_finds(images, threshold):
    table = slow_iou_table(*images)
    hits = (table >= threshold).astype(float)
    most = max(min(table.shape), 1)
    rows, columns = linear_sum_assignment(-hits - table / (2 * most))
    assert measure_overlap(*images).count_matches(threshold) == np.count_nonzero(table[rows, columns] >= threshold)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        pytest.param(np.zeros((2, 2), int), np.zeros((2, 3), int), r"truth is \(2, 2\)", id="sizes differ"),
        pytest.param(np.zeros(4, int), np.zeros(4, int), "1 axes", id="one axis"),
        pytest.param(np.zeros((2, 2)), np.zeros((2, 2), int), "truth is float64", id="floats"),
        pytest.param(np.zeros((2, 2), int), np.full((2, 2), -1), "prediction holds a negative", id="negative"),
    ],
)
def test_what_is_no_pair_of_label_images_is_refused(truth, prediction, message):
    with pytest.raises(ValueError, match=message):
        measure_overlap(truth, prediction)


def test_runs_of_images_of_different_size_are_refused():
    with pytest.raises(ValueError, match="truth is 2 by 3 pixels, prediction 3 by 2"):
        overlap_of_runs(find_runs(np.zeros((2, 3), int)), find_runs(np.zeros((3, 2), int)))
