"""Thresholds found on answers made so that one knows which are best."""

import numpy as np
import pytest

from monolayer_core.model_card import ModelCard, Output, Thresholds, TrainingData
from monolayer_trainer.tuning import score_with, tune_coarsely, tune_thresholds, tuning_window

CARD = ModelCard(
    name="toy",
    version="1",
    task="instances",
    confluency_of="nucleus",
    channels="grey",
    outputs=(Output(name="nucleus", role="class"), Output(name="distance", role="distance")),
    tile_sides=(64,),
    halo=0,
    divisor=1,
    training_data=TrainingData(name="made", licence="CC0-1.0", source="", images=1, objects=2),
)


def answer(foreground: np.ndarray, distance: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.stack([foreground, distance], axis=-1)).astype(np.uint8)


@pytest.fixture
def truth() -> np.ndarray:
    labels = np.zeros((64, 64), np.int32)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    return labels


def test_the_foreground_threshold_that_finds_the_whole_object_wins(truth):
    # The rim of the objects is foreground with a probability of 0.45 only; each has one clear maximum.
    foreground = np.where(truth > 0, 0.45, 0.0)
    distance = np.zeros((64, 64))
    for x in (14, 34):
        foreground[14:26, x : x + 12] = 0.9
        distance[18:22, x + 4 : x + 8] = 0.9
    found, score = tune_coarsely([truth], [answer(foreground, distance)], CARD)
    assert found.foreground == 0.4
    assert score == 1.0
    strict = Thresholds(foreground=0.5, seed=0.45)
    assert score_with(strict, [truth], [answer(foreground, distance)], CARD) < 0.3


def test_the_seed_threshold_that_separates_two_objects_wins(truth):
    # Between the objects the seed map is 0.4: seeds above 0.3 run together, those above 0.45 do not.
    distance = np.where(truth > 0, 0.1, 0.0)
    for x in (14, 34):
        distance[14:26, x : x + 12] = 0.9
    found, score = tune_coarsely([truth], [answer((truth > 0) * 0.7, distance)], CARD)
    assert found.seed == 0.45
    assert score == 1.0


def test_specks_are_dropped_and_holes_are_filled(truth):
    foreground = (truth > 0) * 0.9
    distance = np.where(truth > 0, 0.2, 0.0)
    for x in (14, 34):
        distance[14:26, x : x + 12] = 0.9
    foreground[50:53, 5:8] = distance[50:53, 5:8] = 0.95  # a speck of 9 pixels
    foreground[11:15, 11:19] = 0.0  # a hole of 32 pixels
    found, score = tune_thresholds([truth], [answer(foreground, distance)], CARD)
    assert found.min_area_px == 15
    assert found.max_hole_area_px == 50
    assert score == 1.0


def test_of_equal_scores_the_first_tried_is_taken(truth):
    distance = np.zeros((64, 64))
    for x in (14, 34):
        distance[14:26, x : x + 12] = 1.0
    perfect = answer((truth > 0) * 1.0, distance)
    assert tune_coarsely([truth], [perfect], CARD) == tune_coarsely([truth, truth], [perfect, perfect], CARD)
    # Between the objects the seed map is a half: only 0.6 keeps them apart, with any foreground threshold.
    assert tune_coarsely([truth], [perfect], CARD)[0] == Thresholds(foreground=0.4, seed=0.6)


def test_of_a_large_image_the_middle_is_tuned_on():
    image = np.arange(1000 * 900).reshape(1000, 900)
    window = tuning_window(image)
    assert window.shape == (512, 512)
    assert window[0, 0] == image[244, 194]
    assert tuning_window(image[:512, :100]).shape == (512, 100)
