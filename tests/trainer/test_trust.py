"""What is learnt of the network's answers once the thresholds are final."""

import numpy as np
import pytest

from monolayer_core.confluency_uncertainty import MIN_IMAGES
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_core.pipeline import interpret
from monolayer_trainer.trust import confluency_record, learn_from_answers

CARD = ModelCard(
    name="toy",
    version="1",
    task="semantic",
    confluency_of="cell",
    channels="grey",
    outputs=(Output(name="cell", role="class"),),
    tile_sides=(32,),
    halo=8,
    divisor=8,
    training_data=TrainingData(name="none", licence="none", source="none", images=0, objects=0),
)


def stripes(extra_px):
    """Eight columns of cells of 5 pixels; the answer makes each wider by uncertain pixels."""
    truth, answer = np.zeros((20, 80), dtype=np.int32), np.zeros((20, 80, 1), dtype=np.uint8)
    for column in range(8):
        left = 10 * column
        truth[:, left : left + 5] = column + 1
        answer[:, left : left + 5] = 255
        answer[:, left + 5 : left + 5 + extra_px] = 204
    return truth, answer


def test_a_record_is_in_percent_of_the_image():
    assert confluency_record(*stripes(2), CARD) == pytest.approx((50.0, 70.0, 20 * 0.64))


def test_the_card_takes_score_and_uncertainty():
    truths, answers = zip(*(stripes(extra) for extra in [0, 1, 2, 3] * 5), strict=True)
    card = learn_from_answers(truths, answers, CARD)
    found = interpret(stripes(3)[1], card)
    assert found.uncertainty_points >= 30.0
    assert found.scores == pytest.approx(5 / 8, abs=0.05)
    assert interpret(stripes(0)[1], card).uncertainty_points < 5.0


def test_few_images_teach_nothing():
    truths, answers = zip(*[stripes(1)] * (MIN_IMAGES - 7), strict=True)
    assert learn_from_answers(truths, answers, CARD) == CARD
