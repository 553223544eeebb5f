"""How far a file of lower precision is from the float32 one, in the numbers users see, and what follows from that.

Both files answer the same images through `monolayer_core.pipeline`, the path that serves them.
"""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from monolayer_core.arrays import Predict, Probabilities
from monolayer_core.metrics import score_image
from monolayer_core.model_card import Agreement, ModelCard
from monolayer_core.pipeline import Segmentation, interpret, prepare
from monolayer_core.prediction import predict_probabilities
from monolayer_export.graph import INPUT_NAME, OUTPUT_NAME
from monolayer_export.prepared import Example
from monolayer_export.session import onnx_predict, open_session

MAX_SCORE_LOSS = 0.005
"""Kaggle score that eight bits may lose: half of what chance makes of a score on 65 images."""

MAX_CONFLUENCY_DIFFERENCE = 0.2
"""Percentage points by which the confluency of an image may change on average; labels are not needed to tell."""

MIN_SPEEDUP = 1.1
"""A network that is hardly faster in eight bits, as one with depthwise convolutions may be, is not worth any loss."""

SPEED_RUNS = 9


@dataclass
class _Pair:
    """Numbers of one image: what both files make of it. Scores are NaN without labels."""

    level_difference: float
    confluency_difference: float
    kaggle_score_float32: float
    kaggle_score: float
    confluency_error_float32: float
    confluency_error: float


def measure_agreement(
    card: ModelCard,
    reference: bytes,
    lower: bytes,
    examples: Iterable[Example],
    subset: Literal["tuning", "training", "unlabelled"],
) -> Agreement | None:
    """Let both files answer the examples; None where there are none.

    Parameters
    ----------
    reference, lower
        Content of the float32 ONNX file and of the one that is compared with it.
    subset
        What the examples served for.
    """
    predicts = (onnx_predict(reference), onnx_predict(lower))
    pairs = [_compare(card, predicts, example) for example in examples]
    if not pairs:
        return None
    means = {field.name: float(np.mean([getattr(pair, field.name) for pair in pairs])) for field in fields(_Pair)}
    known = {name: round(value, 4) for name, value in means.items() if not np.isnan(value)}
    return Agreement.model_validate({"images": len(pairs), "subset": subset, **known})


def _compare(card: ModelCard, predicts: tuple[Predict, Predict], example: Example) -> _Pair:
    image = prepare(example.pixels, card)
    levels = [predict_probabilities(image, card, predict) for predict in predicts]
    found = [interpret(probabilities, card) for probabilities in levels]
    scores, errors = zip(*(_scores(example, one) for one in found), strict=True)
    return _Pair(
        level_difference=_mean_difference(*levels),
        confluency_difference=abs(found[0].confluency_percent - found[1].confluency_percent),
        kaggle_score_float32=scores[0],
        kaggle_score=scores[1],
        confluency_error_float32=errors[0],
        confluency_error=errors[1],
    )


def _scores(example: Example, found: Segmentation) -> tuple[float, float]:
    """Kaggle score and absolute error of the confluency."""
    if example.labels is None:
        return float("nan"), float("nan")
    scores = score_image(example.labels, found.labels)
    return scores.kaggle_score, abs(scores.confluency_error)


def _mean_difference(one: Probabilities, other: Probabilities) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def measure_speedup(card: ModelCard, reference: bytes, lower: bytes) -> float:
    """Time of the first file over that of the second for one tile; medians of runs that alternate."""
    side = card.tile_sides[0]
    sessions = [open_session(content, side=side) for content in (reference, lower)]
    tile = np.random.default_rng(0).integers(0, 256, (1, side, side, card.channel_count), dtype=np.uint8)
    times: list[list[float]] = [[], []]
    for _ in range(1 + SPEED_RUNS):
        for session, durations in zip(sessions, times, strict=True):
            began = time.perf_counter()
            session.run([OUTPUT_NAME], {INPUT_NAME: tile})
            durations.append(time.perf_counter() - began)
    slow, fast = (statistics.median(durations[1:]) for durations in times)
    return slow / fast


def is_good_enough(agreement: Agreement, speedup: float) -> tuple[bool, str]:
    """Decide whether the eight-bit file answers on processors by default, and say why."""
    if agreement.kaggle_score is None or agreement.kaggle_score_float32 is None:
        return False, "no labelled images to compare it on"
    loss = agreement.kaggle_score_float32 - agreement.kaggle_score
    if loss > MAX_SCORE_LOSS:
        return False, f"it loses {loss:.4f} of the Kaggle score"
    if agreement.confluency_difference > MAX_CONFLUENCY_DIFFERENCE:
        return False, f"it changes the confluency by {agreement.confluency_difference:.2f} percentage points"
    if speedup < MIN_SPEEDUP:
        return False, f"it is {speedup:.2f} times as fast as float32"
    return True, f"as good as float32 and {speedup:.1f} times as fast"
