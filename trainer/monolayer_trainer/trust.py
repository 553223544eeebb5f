"""The parts of the card by which an answer says how far it is to be trusted, learnt after the thresholds are final."""

import logging
from collections.abc import Sequence

import numpy as np

from monolayer_core.arrays import LabelImage, Probabilities
from monolayer_core.card_blocks import ConfluencyUncertainty
from monolayer_core.confluency_uncertainty import (
    MIN_IMAGES,
    ConfluencyRecord,
    fit_confluency_uncertainty,
    uncertain_percent,
)
from monolayer_core.measure import confluency_percent
from monolayer_core.model_card import ModelCard
from monolayer_core.output_planes import split_outputs
from monolayer_core.pipeline import interpret
from monolayer_trainer.object_score import fit_object_score

log = logging.getLogger(__name__)


def learn_from_answers(
    truths: Sequence[LabelImage], probabilities: Sequence[Probabilities], card: ModelCard
) -> ModelCard:
    """Give the card with the score of objects and the uncertainty of confluency.

    Parameters
    ----------
    truths
        Label images ``(y, x)``, of images the network was not trained on.
    probabilities
        The network's answers ``(y, x, output)`` to the same images.
    card
        With the final thresholds.
    """
    records = [confluency_record(*pair, card) for pair in zip(truths, probabilities, strict=True)]
    learnt = {
        "score": fit_object_score(truths, probabilities, card),
        "confluency_uncertainty": fit_where_enough(records),
    }
    return card.model_copy(update=learnt)


def confluency_record(truth: LabelImage, probabilities: Probabilities, card: ModelCard) -> ConfluencyRecord:
    """Measure true and predicted confluency of an image, and its uncertain pixels; all in percent."""
    return ConfluencyRecord(
        true_percent=confluency_percent(np.asarray(truth)),
        predicted_percent=interpret(probabilities, card).confluency_percent,
        uncertain_percent=uncertain_percent(split_outputs(probabilities, card).foreground),
    )


def fit_where_enough(records: Sequence[ConfluencyRecord]) -> ConfluencyUncertainty | None:
    """Fit the uncertainty of confluency; None where there are fewer images than that takes."""
    if len(records) < MIN_IMAGES:
        log.info("confluency: no interval from %d images, %d are needed", len(records), MIN_IMAGES)
        return None
    return fit_confluency_uncertainty(records)
