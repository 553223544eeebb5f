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
from monolayer_core.metrics import confluency_error, kaggle_score
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

SCORE_OF_A_POINT = 0.05
"""Kaggle score that is given up to have confluency right by one more percentage point: thresholds that split objects
equally well may cover rather different areas."""

log = logging.getLogger(__name__)

WINDOW_PX = 512
"""Height and width of the part of a larger image that is tuned on."""

Number = TypeVar("Number", bound=np.generic)

Scored = tuple[Thresholds, float]
"""Thresholds, and the mean Kaggle score with them."""


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
        self._outcomes: dict[tuple[int, str], tuple[float, float]] = {}

    def coarsely(self, among: Sequence[int] | None = None) -> Scored:
        """Find the best of nine pairs of foreground and seed threshold.

        The best are those with the highest mean Kaggle score less `SCORE_OF_A_POINT` for each percentage point by which
        confluency is wrong on average.

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
            Indices of the images that count, twice where one is named twice; all by default.

        Returns
        -------
        Thresholds, float
            The best ones, see `coarsely`, and their mean Kaggle score over the images. Of equals the first tried wins.
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
        return self._means(thresholds, among)[0]

    def _areas_px(self, parts: Sequence[float]) -> list[int]:
        return [round(part * self._median_area_px) for part in parts]

    def _best(self, candidates: Iterable[Thresholds], among: Sequence[int] | None) -> Scored:
        means = [(candidate, *self._means(candidate, among)) for candidate in candidates]
        best, score, _ = max(means, key=lambda one: one[1] - SCORE_OF_A_POINT * one[2])
        return best, score

    def _means(self, thresholds: Thresholds, among: Sequence[int] | None) -> tuple[float, float]:
        """Mean Kaggle score and mean absolute error of confluency, in percentage points."""
        indices = range(len(self._pairs)) if among is None else among
        score, error_points = np.mean([self._outcome(index, thresholds) for index in indices], axis=0)
        return float(score), float(error_points)

    def _outcome(self, index: int, thresholds: Thresholds) -> tuple[float, float]:
        key = index, thresholds.model_dump_json()
        if key not in self._outcomes:
            truth, answer = self._pairs[index]
            card = self._card.model_copy(update={"thresholds": thresholds})
            labels = interpret(answer, card, SegmentOptions()).labels
            self._outcomes[key] = kaggle_score(truth, labels), abs(confluency_error(truth, labels))
        return self._outcomes[key]


def median_area_px(truths: Sequence[LabelImage]) -> float:
    """Median area of the objects of all label images; 0 where there are none."""
    areas_px = np.concatenate([np.bincount(truth.ravel())[1:] for truth in truths])
    return float(np.median(areas_px[areas_px > 0])) if areas_px.any() else 0.0


def changed(thresholds: Thresholds, **values: float) -> Thresholds:
    """Give the thresholds with some values replaced, validated again."""
    return Thresholds.model_validate(thresholds.model_dump() | values)
