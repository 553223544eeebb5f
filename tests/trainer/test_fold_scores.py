"""What the folds teach together."""

import numpy as np
import pytest

from monolayer_core.confluency_uncertainty import ConfluencyRecord
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_trainer.fold_scores import Answered, FoldSearch, coverage_over_folds

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

TRUTH = np.zeros((64, 64), np.int32)
TRUTH[12:52, 12:52] = 1


def answer(inside: float, ring: float) -> np.ndarray:
    """One object, found with a probability, in a ring of four pixels that is found with another."""
    foreground = np.zeros((64, 64))
    foreground[8:56, 8:56] = ring
    foreground[12:52, 12:52] = inside
    return np.rint(255 * np.stack([foreground, foreground], axis=-1)).astype(np.uint8)


LENIENT, STRICT = answer(0.55, 0.47), answer(0.9, 0.57)
"""Answers that want a foreground threshold of 0.5, and of 0.6."""


def made(*pairs: tuple[int, np.ndarray]) -> Answered:
    return Answered([fold for fold, _ in pairs], [TRUTH] * len(pairs), [one for _, one in pairs])


def test_the_thresholds_of_a_fold_are_those_that_suit_the_others():
    search = FoldSearch(made((1, LENIENT), (2, STRICT)), made(), CARD)
    assert search.thresholds(without=1).foreground == 0.6
    assert search.thresholds(without=2).foreground == 0.5


def test_images_at_their_own_size_count_twice_but_the_smaller_ones_count_too():
    lenient = FoldSearch(made((1, LENIENT)), made((1, STRICT)), CARD)
    assert lenient.thresholds().foreground == 0.5
    assert lenient.score_with(lenient.thresholds()) == 1.0
    outvoted = FoldSearch(made((1, LENIENT)), made(*[(1, STRICT)] * 6), CARD)
    assert outvoted.thresholds().foreground == 0.6
    assert outvoted.score_with(outvoted.thresholds()) == 0.0, "of the image at its own size"


def record(error: float) -> ConfluencyRecord:
    return ConfluencyRecord(true_percent=50.0, predicted_percent=50.0 + error, uncertain_percent=10.0)


def test_an_image_is_covered_where_its_error_is_no_larger_than_those_of_the_other_folds():
    # Two folds of twelve errors: of the second every image is covered by what the first teaches, not the other way.
    wide, narrow = [record(10.0)] * 12, [record(-1.0)] * 12
    assert coverage_over_folds(wide + narrow, [1] * 12 + [2] * 12) == pytest.approx(0.5)
    assert coverage_over_folds(narrow + narrow, [1] * 12 + [2] * 12) == 1.0


def test_too_few_images_teach_no_interval():
    assert coverage_over_folds([record(1.0)] * 12, [1] * 6 + [2] * 6) is None
