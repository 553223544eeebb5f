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
MIN_SCORES = (0.0, 0.6, 0.7, 0.75, 0.8)
"""Not higher: on images unlike those it was tuned on, a network is less sure of true objects too."""

MIN_SEED_AREAS = (0.0, 0.01, 0.02, 0.04, 0.08)
MIN_AREAS = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15)
MAX_HOLE_AREAS = (0.0, 0.03, 0.1, 0.5)
"""Areas as parts of the median area of the objects: what is a speck beside one cell is a nucleus elsewhere."""

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


class ThresholdSearch:
    """A network's answers to labelled images, and what thresholds make of them.

    Scores are kept, so that searches among different images share what they try in common.

    Parameters
    ----------
    truths
        Label images ``(y, x)``, at least one.
    probabilities
        The network's answers ``(y, x, output)`` to the same images.
    card
        Says which output is which; its thresholds are the starting point.
    """

    def __init__(self, truths: Sequence[LabelImage], probabilities: Sequence[Probabilities], card: ModelCard) -> None:
        self._pairs = list(zip(truths, probabilities, strict=True))
        self._card = card
        self._median_area_px = median_area_px(truths)
        self._scores: dict[tuple[int, str], float] = {}

    def coarsely(self, among: Sequence[int] | None = None) -> Scored:
        """Find the best of nine pairs of foreground and seed threshold, and its mean Kaggle score.

        Parameters
        ----------
        among
            Indices of the images that count; all by default.
        """
        pairs = itertools.product(COARSE_FOREGROUND, COARSE_SEED)
        return self._best((changed(self._card.thresholds, foreground=f, seed=s) for f, s in pairs), among)

    def thoroughly(self, among: Sequence[int] | None = None) -> Scored:
        """Find all thresholds: foreground and seed coarsely, then score and areas, then foreground and seed finely.

        Parameters
        ----------
        among
            Indices of the images that count; all by default.

        Returns
        -------
        Thresholds, float
            The best ones and their mean Kaggle score over the images. Of equal scores the first tried wins.
        """
        found, score = self.coarsely(among)
        for name, values in (
            ("min_seed_area_px", self._areas_px(MIN_SEED_AREAS)),
            ("min_score", MIN_SCORES),
            ("min_area_px", self._areas_px(MIN_AREAS)),
            ("max_hole_area_px", self._areas_px(MAX_HOLE_AREAS)),
        ):
            found, score = self._best((changed(found, **{name: value}) for value in values), among)
        around = (
            changed(found, foreground=round(found.foreground + f, 3), seed=round(found.seed + s, 3))
            for f, s in itertools.product(FINE_STEPS, FINE_STEPS)
        )
        found, score = self._best(around, among)
        count = len(self._pairs if among is None else among)
        log.info("thresholds %s: score %.4f on %d tuning images", found.model_dump(), score, count)
        return found, score

    def score_with(self, thresholds: Thresholds, among: Sequence[int] | None = None) -> float:
        """Mean Kaggle score over the images with these thresholds."""
        indices = range(len(self._pairs)) if among is None else among
        return float(np.mean([self._score_of(index, thresholds) for index in indices]))

    def _areas_px(self, parts: Sequence[float]) -> list[int]:
        return [round(part * self._median_area_px) for part in parts]

    def _best(self, candidates: Iterable[Thresholds], among: Sequence[int] | None) -> Scored:
        scored = [(candidate, self.score_with(candidate, among)) for candidate in candidates]
        return max(scored, key=lambda pair: pair[1])

    def _score_of(self, index: int, thresholds: Thresholds) -> float:
        key = index, thresholds.model_dump_json()
        if key not in self._scores:
            truth, answer = self._pairs[index]
            card = self._card.model_copy(update={"thresholds": thresholds})
            self._scores[key] = kaggle_score(truth, interpret(answer, card, SegmentOptions()).labels)
        return self._scores[key]


def median_area_px(truths: Sequence[LabelImage]) -> float:
    """Median area of the objects of all label images; 0 where there are none."""
    areas_px = np.concatenate([np.bincount(truth.ravel())[1:] for truth in truths])
    return float(np.median(areas_px[areas_px > 0])) if areas_px.any() else 0.0


def changed(thresholds: Thresholds, **values: float) -> Thresholds:
    """Give the thresholds with some values replaced, validated again."""
    return Thresholds.model_validate(thresholds.model_dump() | values)
