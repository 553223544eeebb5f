"""Counts of classes add up to the scores of all objects together."""

import doctest
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core import class_counts
from monolayer_core.boxes import box_iou
from monolayer_core.class_counts import ClassCounts, add_up, count_by_class, count_objects, describe

BOX = np.array([[0.0, 0, 4, 4]])
NONE = np.zeros((0, 4))


def scores(counts: ClassCounts) -> tuple[float, float, float]:
    return counts.precision, counts.recall, counts.f1


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        pytest.param(NONE, NONE, (1, 1, 1), id="nothing to find, nothing found"),
        pytest.param(BOX, NONE, (0, 0, 0), id="nothing found"),
        pytest.param(NONE, BOX, (0, 0, 0), id="nothing to find"),
        pytest.param(BOX, BOX, (1, 1, 1), id="found"),
        pytest.param(BOX, BOX + 3, (0, 0, 0), id="elsewhere"),
        pytest.param(BOX, np.concatenate([BOX, BOX]), (0.5, 1, 2 / 3), id="found twice"),
    ],
)
def test_scores_of_one_image(truth, prediction, expected):
    assert scores(count_objects(truth, prediction)) == pytest.approx(expected)


def test_errors_of_counts_do_not_cancel_out():
    total = count_objects(BOX, NONE) + count_objects(NONE, BOX) + count_objects(BOX, BOX)
    assert total == ClassCounts(truth=2, prediction=2, matched=1, count_error=2, images=3)
    assert total.count_error_per_image == pytest.approx(2 / 3)
    assert describe(total)["f1"] == 0.5
    assert ClassCounts().count_error_per_image == 0


def test_the_wrong_class_is_a_miss_and_an_invention():
    red, white = count_by_class(BOX, np.array([0]), BOX, np.array([1]), 2)
    assert (red.truth, red.prediction, red.matched) == (1, 0, 0)
    assert (white.truth, white.prediction, white.matched) == (0, 1, 0)


def test_the_example_is_right():
    assert doctest.testmod(class_counts).failed == 0


@pytest.mark.parametrize("classes", [np.array([2]), np.array([-1]), np.array([0, 1])], ids=["high", "low", "too many"])
def test_classes_that_do_not_fit_are_refused(classes):
    with pytest.raises(ValueError, match="class"):
        count_by_class(BOX, classes, NONE, np.array([], int), 2)


objects = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 5), st.integers(1, 4), st.integers(1, 4)), max_size=4
)


def as_arrays(drawn: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.array([(y, x, y + h, x + w) for _, y, x, h, w in drawn], np.float64).reshape(-1, 4)
    return boxes, np.array([index for index, *_ in drawn], np.int64)


@given(st.lists(st.tuples(objects, objects), max_size=3))
def test_pooled_counts_are_those_of_an_obvious_reference(images):
    counted = add_up(count_by_class(*as_arrays(truth), *as_arrays(found), 2) for truth, found in images)
    for index, counts in enumerate(counted):
        matched = errors = 0
        for truth, found in images:
            there, here = (as_arrays([one for one in side if one[0] == index])[0] for side in (truth, found))
            errors += abs(len(there) - len(here))
            hits = box_iou(there, here) >= 0.5
            hits = hits if hits.shape[0] <= hits.shape[1] else hits.T
            matched += max(
                sum(hits[i, j] for i, j in enumerate(p)) for p in permutations(range(hits.shape[1]), len(hits))
            )
        truths = sum(one[0] == index for truth, _ in images for one in truth)
        founds = sum(one[0] == index for _, found in images for one in found)
        assert counts == ClassCounts(truths, founds, matched, errors, len(images))
    assert images or counted == ()
