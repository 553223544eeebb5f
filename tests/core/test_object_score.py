"""Features of objects small enough to count by hand, and the logistic function of them."""

import numpy as np
import pytest

from monolayer_core.card_blocks import ObjectScore
from monolayer_core.object_score import OBJECT_FEATURES, describe_objects, predict_iou
from monolayer_core.row_runs import find_row_runs


def described(labels, foreground, boundary=None):
    """One mapping per object."""
    labels = np.array(labels, dtype=np.int32)
    foreground = np.array(foreground, dtype=np.uint8)
    boundary = None if boundary is None else np.array(boundary, dtype=np.uint8)
    rows = describe_objects(labels, find_row_runs(labels), foreground, boundary)
    return [dict(zip(OBJECT_FEATURES, row, strict=True)) for row in rows.tolist()]


def test_a_square_of_nine_pixels_is_eight_of_rim_and_sixteen_of_ring():
    labels = np.zeros((7, 7), dtype=np.int32)
    labels[2:5, 2:5] = 1
    foreground = np.full((7, 7), 51)  # 0.2 around the object
    foreground[0] = foreground[6] = foreground[:, 0] = foreground[:, 6] = 0  # beyond the ring
    foreground[2:5, 2:5] = 204
    foreground[3, 3] = 255
    boundary = np.zeros((7, 7))
    boundary[2, 2:5] = 85
    (found,) = described(labels, foreground, boundary)
    assert found["rim"] == pytest.approx(0.8)
    assert found["ring"] == pytest.approx(0.2)
    assert found["uncertain"] == pytest.approx(8 * 4 * 0.8 * 0.2 / 9, abs=0.002)
    assert found["boundary"] == pytest.approx(1 / 9)
    assert found["log_area"] == pytest.approx(np.log(9))
    assert found["raggedness"] == pytest.approx(np.log(64 / 9))
    assert found["at_edge"] == 0.0


def test_touching_objects_have_a_rim_between_them_but_no_ring_there():
    found = described([[1, 1, 2, 2], [1, 1, 2, 2]], [[255, 51, 102, 255], [255, 51, 102, 255]])
    assert [one["rim"] for one in found] == pytest.approx([0.2, 0.4])
    assert [one["ring"] for one in found] == [0.0, 0.0]
    assert [one["at_edge"] for one in found] == [1.0, 1.0]


def test_a_background_pixel_between_two_objects_belongs_to_one_ring():
    found = described([[1, 0, 2]], [[255, 102, 255]])
    assert sorted(one["ring"] for one in found) == [0.0, pytest.approx(0.4)]


def test_an_object_that_fills_the_image_has_neither_rim_nor_ring():
    (found,) = described(np.ones((4, 5)), np.full((4, 5), 255))
    assert (found["rim"], found["ring"], found["uncertain"], found["boundary"]) == (0.0, 0.0, 0.0, 0.0)
    assert found["raggedness"] == pytest.approx(np.log(1 / 20))
    assert found["at_edge"] == 1.0


def test_an_image_without_objects_has_no_rows():
    assert described(np.zeros((3, 4)), np.zeros((3, 4))) == []


def test_features_do_not_depend_on_what_else_is_in_the_image():
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 40), dtype=np.int32)
    labels[3:12, 5:15], labels[20:33, 18:29] = 1, 2
    foreground = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    both = described(labels, foreground, foreground // 3)
    for label in (1, 2):
        (alone,) = described(labels == label, foreground, foreground // 3)
        assert both[label - 1] == pytest.approx(alone)


def test_the_prediction_is_the_logistic_function_of_the_weighted_sum():
    score = ObjectScore(intercept=-1.0, weights={"rim": 2.0, "log_area": 0.5})
    features = np.zeros((3, len(OBJECT_FEATURES)))
    features[0, OBJECT_FEATURES.index("rim")] = 0.5
    features[1, OBJECT_FEATURES.index("log_area")] = 6.0
    features[2, OBJECT_FEATURES.index("at_edge")] = 9.0
    np.testing.assert_allclose(predict_iou(features, score), 1 / (1 + np.exp([0.0, -2.0, 1.0])))


def test_the_prediction_stays_within_0_and_1():
    features = np.full((1, len(OBJECT_FEATURES)), 1e6)
    assert predict_iou(features, ObjectScore(intercept=0.0, weights={"rim": 1.0}))[0] == 1.0
    assert predict_iou(features, ObjectScore(intercept=0.0, weights={"rim": -1.0}))[0] == 0.0
