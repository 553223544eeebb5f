"""The thresholds of the card, found by trying them on labelled images the network was not trained on.

The network answers once; only its answers are interpreted again and again.
"""

import itertools
import logging
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Probabilities
from monolayer_core.metrics import kaggle_score
from monolayer_core.model_card import ModelCard, Thresholds
from monolayer_core.pipeline import SegmentOptions, interpret

COARSE_FOREGROUND = (0.4, 0.5, 0.6)
COARSE_SEED = (0.3, 0.45, 0.6)
FINE_STEPS = (-0.1, -0.05, 0.0, 0.05, 0.1)
MIN_SEED_AREAS_PX = (0, 4, 8, 12, 20)
MIN_SCORES = (0.0, 0.6, 0.7, 0.75, 0.8)
"""Not higher: on images unlike those it was tuned on, a network is less sure of true objects too."""

MIN_AREAS_PX = (0, 8, 15, 25, 40, 60)
MAX_HOLE_AREAS_PX = (0, 10, 50, 200)

log = logging.getLogger(__name__)

WINDOW_PX = 512
"""Height and width of the part of a larger image that is tuned on."""

Number = TypeVar("Number", bound=np.generic)

Scored = tuple[Thresholds, float]


def tuning_window(image: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Cut the middle out of a large image ``(y, x)`` or ``(y, x, output)``.

    Tuning interprets every image some fifty times. A window of a large one tells as much in a fraction of the time.
    """
    top, left = (max((length - WINDOW_PX) // 2, 0) for length in image.shape[:2])
    return image[top : top + WINDOW_PX, left : left + WINDOW_PX]


def tune_coarsely(truths: Sequence[LabelImage], probabilities: Sequence[Probabilities], card: ModelCard) -> Scored:
    """Best of nine pairs of foreground and seed threshold, and its mean Kaggle score."""
    pairs = itertools.product(COARSE_FOREGROUND, COARSE_SEED)
    return best_of((changed(card.thresholds, foreground=f, seed=s) for f, s in pairs), truths, probabilities, card)


def tune_thresholds(truths: Sequence[LabelImage], probabilities: Sequence[Probabilities], card: ModelCard) -> Scored:
    """Find all thresholds: foreground and seed coarsely, then score and areas, then foreground and seed finely.

    Parameters
    ----------
    truths
        Label images ``(y, x)``.
    probabilities
        The network's answers ``(y, x, output)`` to the same images.
    card
        Says which output is which; its thresholds are the starting point.

    Returns
    -------
    Thresholds, float
        The best ones and their mean Kaggle score over the images. Of equal scores the first tried wins.
    """
    found, score = tune_coarsely(truths, probabilities, card)
    seeds = (changed(found, min_seed_area_px=area) for area in MIN_SEED_AREAS_PX)
    found, score = best_of(seeds, truths, probabilities, card)
    scores = (changed(found, min_score=score) for score in MIN_SCORES)
    found, score = best_of(scores, truths, probabilities, card)
    areas = (changed(found, min_area_px=area) for area in MIN_AREAS_PX)
    found, score = best_of(areas, truths, probabilities, card)
    holes = (changed(found, max_hole_area_px=area) for area in MAX_HOLE_AREAS_PX)
    found, score = best_of(holes, truths, probabilities, card)
    around = (
        changed(found, foreground=round(found.foreground + f, 3), seed=round(found.seed + s, 3))
        for f, s in itertools.product(FINE_STEPS, FINE_STEPS)
    )
    found, score = best_of(around, truths, probabilities, card)
    log.info("thresholds %s: score %.4f on %d tuning images", found.model_dump(), score, len(truths))
    return found, score


def best_of(
    candidates: Iterable[Thresholds],
    truths: Sequence[LabelImage],
    probabilities: Sequence[Probabilities],
    card: ModelCard,
) -> Scored:
    """Find the candidate with the highest mean Kaggle score, and that score."""
    scored = [(candidate, score_with(candidate, truths, probabilities, card)) for candidate in candidates]
    return max(scored, key=lambda pair: pair[1])


def score_with(
    thresholds: Thresholds, truths: Sequence[LabelImage], probabilities: Sequence[Probabilities], card: ModelCard
) -> float:
    """Mean Kaggle score over the images with these thresholds."""
    card = card.model_copy(update={"thresholds": thresholds})
    found = (interpret(probability, card, SegmentOptions()).labels for probability in probabilities)
    return float(np.mean([kaggle_score(truth, labels) for truth, labels in zip(truths, found, strict=True)]))


def changed(thresholds: Thresholds, **values: float) -> Thresholds:
    """Give the thresholds with some values replaced, validated again."""
    return Thresholds.model_validate(thresholds.model_dump() | values)
