"""A prepared image through the network: at the size its card says, in tiles, and mirrored where asked for.

The network comes in one of two forms. A plain callable (`predict_probabilities`) suits whoever has it alone: training,
export, evaluation. A map over batches (`stream_probabilities`) suits the service, where a scheduler takes some tiles of
a request ahead and mixes them with those of others. Threads are its business: here answers are only asked for in order.
"""

import functools
import operator
from collections.abc import Iterable, Sequence

import numpy as np

from monolayer_core.arrays import ImageUInt8, Predict, PredictStream, Probabilities
from monolayer_core.input_scale import enlarge, scaled_size, shrink
from monolayer_core.model_card import ModelCard
from monolayer_core.tiling import TilePlan, plan_fitted_tiles, plan_tiles, stream_tiled

_FLIPS = tuple((slice(None, None, y), slice(None, None, x)) for y in (1, -1) for x in (1, -1))
"""The image as it is, mirrored left to right, top to bottom, and both; each undoes itself."""

VIEWS_OF_TTA = len(_FLIPS)
"""How often the network sees each tile with test-time augmentation."""


def predict_probabilities(
    image: ImageUInt8,
    card: ModelCard,
    predict: Predict,
    *,
    tta: bool = False,
    batch_size: int = 1,
    sides: Sequence[int] | None = None,
) -> Probabilities:
    """Let the network see a prepared image, batch by batch.

    Parameters
    ----------
    image : uint8 (y, x, channel)
        From `pipeline.prepare`.
    predict : callable
        The network.
    tta : bool
        Whether to average the answers for four mirror images.
    batch_size : int
        Most tiles in one call of the network.
    sides : sequence of int, optional
        Tile sides to use instead of the card's.

    Returns
    -------
    uint8 (y, x, output)
        At the size of the image.

    Raises
    ------
    PredictionError
        The network's answer has another shape or type than the card announces.
    OptionError
        No allowed tile is larger than its halo.
    """
    height, width = image.shape[:2]
    plan = plan_prediction(height, width, card, sides=sides)
    return stream_probabilities(image, card, functools.partial(map, predict), plan, tta=tta, batch_size=batch_size)


def plan_prediction(
    height: int,
    width: int,
    card: ModelCard,
    *,
    sides: Sequence[int] | None = None,
    largest_fitted_px: int | None = None,
) -> TilePlan:
    """Plan the tiles in which the network of a card sees an image of `height` by `width` pixels.

    The plan is one for the size at which it sees the image.

    Parameters
    ----------
    sides : sequence of int, optional
        Tile sides to use instead of the card's.
    largest_fitted_px : int, optional
        Where the network takes any size tiles fit the image instead, with so many pixels at most.

    Raises
    ------
    OptionError
        No allowed tile is larger than its halo.
    """
    seen = scaled_size(height, width, card.input_scale)
    if largest_fitted_px is not None and card.dynamic_size:
        return plan_fitted_tiles(
            *seen, least_side=card.tile_sides[0], largest_px=largest_fitted_px, halo=card.halo, divisor=card.divisor
        )
    return plan_tiles(*seen, sides=card.tile_sides if sides is None else sides, halo=card.halo, divisor=card.divisor)


def stream_probabilities(
    image: ImageUInt8,
    card: ModelCard,
    predict: PredictStream,
    plan: TilePlan,
    *,
    tta: bool = False,
    batch_size: int = 1,
) -> Probabilities:
    """Let the network see a prepared image as one stream of batches.

    Parameters
    ----------
    image, tta, batch_size
        As for `predict_probabilities`.
    predict : callable
        The network as a map over batches. All views of `tta` go through one stream, so that it never runs dry between.
    plan : TilePlan
        From `plan_prediction` for this image and card.

    Returns
    -------
    uint8 (y, x, output)
        At the size of the image.

    Raises
    ------
    PredictionError
        The network's answer has another shape or type than the card announces, or an answer is missing.
    """
    seen = shrink(image, card.input_scale)
    flips = _FLIPS if tta else _FLIPS[:1]
    views = [seen[flip] for flip in flips]
    answers = stream_tiled(views, predict, plan, output_count=len(card.outputs), batch_size=batch_size)
    mirrored_back = (answer[flip] for answer, flip in zip(answers, flips, strict=True))
    probabilities = _mean(mirrored_back, len(flips)) if tta else next(mirrored_back)
    return enlarge(probabilities, *image.shape[:2])


def _mean(answers: Iterable[Probabilities], count: int) -> Probabilities:
    """Mean of several answers, halves rounded up."""
    total = functools.reduce(operator.iadd, (answer.astype(np.uint16) for answer in answers))
    total += count // 2
    total //= count
    return total.astype(np.uint8)
