"""A score fitted to objects whose IoU is known."""

import numpy as np
import pytest

from monolayer_core.model_card import ModelCard, Output, Thresholds, TrainingData
from monolayer_core.object_score import OBJECT_FEATURES, predict_iou
from monolayer_core.pipeline import interpret
from monolayer_trainer.object_score import MIN_OBJECTS, best_iou, fit_described_objects, fit_object_score

CARD = ModelCard(
    name="toy",
    version="1",
    task="semantic",
    confluency_of="nucleus",
    channels="grey",
    outputs=(Output(name="nucleus", role="class"),),
    tile_sides=(32,),
    halo=8,
    divisor=8,
    thresholds=Thresholds(min_area_px=4),
    training_data=TrainingData(name="none", licence="none", source="none", images=0, objects=0),
)


def scene(seed):
    """Squares, half of them sure and right, half of them doubtful and twice as wide as the true ones."""
    rng = np.random.default_rng(seed)
    truth, answer = np.zeros((120, 120), dtype=np.int32), np.zeros((120, 120, 1), dtype=np.uint8)
    for number, (y, x) in enumerate(np.ndindex(5, 5)):
        top, left = 24 * y + 4, 24 * x + 4
        truth[top : top + 8, left : left + 8] = number + 1
        is_sure = rng.random() < 0.5
        answer[top : top + 8, left : left + (8 if is_sure else 16)] = 250 if is_sure else 150
    return truth, answer


def test_iou_is_that_with_the_true_object_that_fits_best():
    truth = np.array([[1, 1, 2, 2, 2, 0, 0]])
    found = np.array([[0, 1, 1, 1, 1, 0, 2]])
    assert best_iou(truth, found).tolist() == [3 / 4, 0.0]


def test_sure_objects_score_1_and_doubtful_ones_a_half():
    scenes = [scene(seed) for seed in range(6)]
    score = fit_object_score([truth for truth, _ in scenes], [answer for _, answer in scenes], CARD)
    truth, answer = scene(100)
    found = interpret(answer, CARD.model_copy(update={"score": score}))
    iou = best_iou(truth, found.labels)
    assert set(iou.tolist()) == {0.5, 1.0}
    assert found.scores[iou == 1.0] == pytest.approx(1.0, abs=0.05)
    assert found.scores[iou == 0.5] == pytest.approx(0.5, abs=0.05)


def test_the_mean_score_is_the_mean_iou():
    rng = np.random.default_rng(0)
    features = rng.normal(2, 3, (400, len(OBJECT_FEATURES)))
    features[:, 1] = 0.0  # a network without a boundary output
    iou = 1 / (1 + np.exp(-(features[:, 0] - 2) / 2 - rng.normal(0, 0.5, 400)))
    score = fit_described_objects(features, iou)
    predicted = predict_iou(features, score)
    assert predicted.mean() == pytest.approx(iou.mean(), abs=0.002)
    assert score.weights["boundary"] == 0.0
    assert score.weights["uncertain"] == pytest.approx(0.5, abs=0.1)


def test_few_objects_teach_nothing():
    truth, answer = scene(0)
    assert truth.max() < MIN_OBJECTS
    assert fit_object_score([truth], [answer], CARD) is None
