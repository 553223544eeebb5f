"""The loss on images one can calculate by hand."""

import math

import numpy as np
import pytest

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.losses import (
    OUTSIDE_WEIGHT,
    ForegroundDice,
    SegmentationLoss,
    cross_entropy,
    dice_loss,
    distance_loss,
    pack_targets,
)

LN2 = math.log(2)


def one_hot(*index: int, categories: int = 3) -> np.ndarray:
    """One row of pixels, ``(1, 1, x, category)``."""
    return np.eye(categories, dtype=np.float32)[list(index)][None, None]


def test_an_undecided_network_pays_the_logarithm_of_the_number_of_categories():
    assert float(cross_entropy(one_hot(0, 1, 2), np.zeros((1, 1, 3, 3), np.float32), (1, 1, 1))) == pytest.approx(
        math.log(3), rel=1e-6
    )


def test_a_boundary_pixel_counts_three_times():
    truth = one_hot(0, 2)
    right_on_background = np.array([[[[30.0, 0, 0], [0, 0, 0]]]], np.float32)
    right_on_boundary = np.array([[[[0, 0, 0], [0, 0, 30.0]]]], np.float32)
    # Of a total weight of 1 + 3 the undecided pixel has 3, or 1; it pays log 3.
    weights = (1.0, 1.0, 3.0)
    assert float(cross_entropy(truth, right_on_background, weights)) == pytest.approx(math.log(3) * 3 / 4, rel=1e-5)
    assert float(cross_entropy(truth, right_on_boundary, weights)) == pytest.approx(math.log(3) * 1 / 4, rel=1e-5)


def test_dice_of_a_perfect_answer_is_0_and_of_the_opposite_nearly_1():
    truth = one_hot(*[1] * 500, *[2] * 500)
    opposite = one_hot(*[2] * 500, *[1] * 500)
    assert float(dice_loss(truth, truth)) == pytest.approx(0.0, abs=1e-6)
    assert float(dice_loss(truth, opposite)) == pytest.approx(1.0, abs=1e-2)


def test_dice_of_a_batch_without_objects_and_an_answer_without_objects_is_0():
    assert float(dice_loss(one_hot(0, 0), one_hot(0, 0))) == pytest.approx(0.0, abs=1e-6)


def test_the_distance_is_counted_inside_objects_and_lightly_outside():
    truth = np.array([[[1.0, 0.0]]], np.float32)
    inside_wrong = np.array([[[0.0, -30.0]]], np.float32)
    outside_wrong = np.array([[[30.0, 0.0]]], np.float32)
    assert float(distance_loss(truth, inside_wrong)) == pytest.approx(LN2 / (1 + OUTSIDE_WEIGHT), rel=1e-5)
    assert float(distance_loss(truth, outside_wrong)) == pytest.approx(
        LN2 * OUTSIDE_WEIGHT / (1 + OUTSIDE_WEIGHT), rel=1e-5
    )


def test_the_distance_stays_finite_for_extreme_logits():
    assert float(distance_loss(np.array([0.5]), np.array([-1e4], np.float32))) == pytest.approx(5000.0, rel=1e-5)


def test_the_loss_is_the_sum_of_its_three_parts():
    class_index = np.array([[[0, 1, 2, 1]]], np.uint8)
    distance = np.array([[[0, 0.5, 0.2, 1]]], np.float32)
    logits = np.random.default_rng(0).normal(size=(1, 1, 4, 4)).astype(np.float32)
    truth = one_hot(0, 1, 2, 1)
    softmax = np.exp(logits[..., :3]) / np.exp(logits[..., :3]).sum(axis=-1, keepdims=True)
    loss = SegmentationLoss((1, 1, 3), distance=True, dice_weight=0.5)
    expected = (
        float(cross_entropy(truth, logits[..., :3], (1, 1, 3)))
        + 0.5 * float(dice_loss(truth, softmax))
        + float(distance_loss(distance, logits[..., 3]))
    )
    assert float(loss(pack_targets(class_index, distance), logits)) == pytest.approx(expected, rel=1e-5)


def test_without_a_distance_every_logit_is_a_category():
    class_index = np.array([[[0, 1]]], np.uint8)
    loss = SegmentationLoss((1, 1), distance=False, dice_weight=0.0)
    targets = pack_targets(class_index, np.zeros((1, 1, 2), np.float32))
    assert float(loss(targets, np.zeros((1, 1, 2, 2), np.float32))) == pytest.approx(LN2, rel=1e-6)


def test_weights_follow_the_order_background_classes_boundary():
    config = TrainConfig(class_weights=(1.0, 5.0), boundary_weight=4.0)
    assert config.category_weights(2) == (1.0, 1.0, 5.0, 4.0)
    assert TrainConfig(kind="semantic", distance=False).category_weights(1) == (1.0, 1.0)


def test_as_many_class_weights_as_classes_are_needed():
    with pytest.raises(DatasetError, match="number of class weights is 2, that of the classes 3"):
        TrainConfig(class_weights=(1.0, 1.0)).category_weights(3)


def test_the_dice_metric_gathers_batches():
    metric = ForegroundDice(3)
    targets = pack_targets(np.array([[[0, 1, 1, 1]]], np.uint8), np.zeros((1, 1, 4), np.float32))
    metric.update_state(targets, one_hot(0, 1, 2, 0))
    metric.update_state(targets, one_hot(0, 0, 0, 1))
    # Common foreground 2 + 1, foreground 3 + 2 and 3 + 1.
    assert float(metric.result()) == pytest.approx((2 * 3 + 1) / (9 + 1))
