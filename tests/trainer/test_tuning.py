"""Thresholds found on answers made so that one knows which are best."""

import numpy as np
import pytest

from monolayer_core.model_card import ModelCard, Output, Thresholds, TrainingData
from monolayer_trainer.tuning import ThresholdSearch, median_area_px, tuning_window

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
    search = ThresholdSearch([truth], [answer(foreground, distance)], CARD)
    found, score = search.coarsely()
    assert found.foreground == 0.4
    assert score == 1.0
    strict = Thresholds(foreground=0.5, seed=0.45)
    assert search.score_with(strict) < 0.3


def test_the_seed_threshold_that_separates_two_objects_wins(truth):
    # Between the objects the seed map is 0.4: seeds above 0.3 run together, those above 0.45 do not.
    distance = np.where(truth > 0, 0.1, 0.0)
    for x in (14, 34):
        distance[14:26, x : x + 12] = 0.9
    found, score = ThresholdSearch([truth], [answer((truth > 0) * 0.7, distance)], CARD).coarsely()
    assert found.seed == 0.45
    assert score == 1.0


def test_of_thresholds_that_split_alike_those_with_the_smaller_error_of_confluency_win():
    # An object of 40 x 40 pixels. Found with a ring of width 2 around it the IoU is 1600 / 1936 = 0.83, without its own
    # rim of width 2 it is 1296 / 1600 = 0.81: seven of Kaggle's ten thresholds either way, but 336 pixels too many
    # against 304 too few.
    truth = np.zeros((64, 64), np.int32)
    truth[12:52, 12:52] = 1
    foreground = np.zeros((64, 64))
    foreground[10:54, 10:54] = 0.55
    foreground[14:50, 14:50] = 0.9
    search = ThresholdSearch([truth], [answer(foreground, foreground)], CARD)
    assert [search.score_with(Thresholds(foreground=f, seed=0.6)) for f in (0.4, 0.6)] == pytest.approx([0.7, 0.7])
    found, score = search.coarsely()
    assert found.foreground == 0.6
    assert score == pytest.approx(0.7)


def test_specks_are_dropped_and_holes_are_filled(truth):
    foreground = (truth > 0) * 0.9
    distance = np.where(truth > 0, 0.2, 0.0)
    for x in (14, 34):
        distance[14:26, x : x + 12] = 0.9
    foreground[50:53, 5:8] = distance[50:53, 5:8] = 0.95  # a speck of 9 pixels
    foreground[11:15, 11:19] = 0.0  # a hole of 32 pixels
    found, score = ThresholdSearch([truth], [answer(foreground, distance)], CARD).thoroughly()
    # Objects measure 400 pixels: 4 % of that is more than the speck, a tenth more than the hole.
    assert (found.min_area_px, found.max_hole_area_px) == (16, 40)
    assert score == 1.0


def test_small_is_what_is_small_beside_the_objects():
    # The same picture twice as large: areas grow fourfold, and with them what counts as a speck or as a hole.
    truth = np.zeros((128, 128), np.int32)
    truth[20:60, 20:60] = 1
    foreground = (truth > 0) * 0.9
    distance = foreground.copy()
    foreground[100:106, 10:16] = distance[100:106, 10:16] = 0.95
    foreground[22:30, 22:38] = 0.0
    search = ThresholdSearch([truth], [answer(foreground, distance)], CARD)
    found, score = search.thoroughly()
    assert (found.min_area_px, found.max_hole_area_px) == (64, 160)
    assert score == 1.0


def test_a_search_among_some_images_is_one_that_has_only_these(truth):
    right = answer((truth > 0) * 0.9, (truth > 0) * np.where(np.arange(64) % 20 == 10, 0.2, 0.9))
    other = answer((truth > 0) * 0.55, (truth > 0) * np.where(np.arange(64) % 20 == 10, 0.5, 0.9))
    search = ThresholdSearch([truth, truth, truth], [right, other, other], CARD)
    assert search.thoroughly([1, 2]) == ThresholdSearch([truth, truth], [other, other], CARD).thoroughly()
    assert search.thoroughly([0]) == ThresholdSearch([truth], [right], CARD).thoroughly()


def test_the_median_area_counts_objects_not_images():
    labels = np.zeros((10, 10), np.int32)
    labels[0, :4], labels[2, :6], labels[4, :10] = 1, 2, 4  # there is no 3
    assert median_area_px([labels, np.zeros((5, 5), np.int32)]) == 6
    assert median_area_px([np.zeros((5, 5), np.int32)]) == 0


def test_of_equal_scores_the_first_tried_is_taken(truth):
    distance = np.zeros((64, 64))
    for x in (14, 34):
        distance[14:26, x : x + 12] = 1.0
    perfect = answer((truth > 0) * 1.0, distance)
    once, twice = (ThresholdSearch([truth] * n, [perfect] * n, CARD).coarsely() for n in (1, 2))
    assert once == twice
    # Between the objects the seed map is a half: only 0.6 keeps them apart, with any foreground threshold.
    assert once[0] == Thresholds(foreground=0.4, seed=0.6)


def test_of_a_large_image_the_middle_is_tuned_on():
    image = np.arange(1000 * 900).reshape(1000, 900)
    window = tuning_window(image)
    assert window.shape == (512, 512)
    assert window[0, 0] == image[244, 194]
    assert tuning_window(image[:512, :100]).shape == (512, 100)
