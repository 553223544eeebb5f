"""The ways to segment an image that an evaluation compares: the network, and the two baselines that learn nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from monolayer_core.arrays import LabelImage, Pixels, Predict
from monolayer_core.distance_seeds import seeds_from_distance
from monolayer_core.instances import fill_holes, remove_small
from monolayer_core.kmeans import otsu_mask
from monolayer_core.metrics import ImageScores, score_image
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import (
    KMEANS_MAX_HOLE_AREA_PX,
    KMEANS_MIN_AREA_PX,
    SegmentOptions,
    segment,
    segment_kmeans,
)
from monolayer_core.splitting import split_by_seeds
from monolayer_trainer.dataset import Dataset, Sample

Method: TypeAlias = Callable[[Pixels], LabelImage]
"""An image as decoded in, int32 labels ``(y, x)`` out."""

NETWORK, KMEANS, OTSU = "network", "kmeans", "otsu"


def all_methods(card: ModelCard, predict: Predict, *, tta: bool = False) -> dict[str, Method]:
    """Give the methods by name, the network first.

    Parameters
    ----------
    card, predict
        The network.
    tta
        Whether the network sees four mirror images of each.
    """
    options = SegmentOptions(tta=tta)
    return {
        NETWORK: lambda pixels: segment(pixels, card, predict, options).labels,
        KMEANS: lambda pixels: segment_kmeans(pixels).labels,
        OTSU: segment_otsu,
    }


def segment_otsu(pixels: Pixels) -> LabelImage:
    """Cut at Otsu's threshold and split at necks, with everything else as K-means has it."""
    mask = fill_holes(otsu_mask(pixels), KMEANS_MAX_HOLE_AREA_PX)
    return remove_small(split_by_seeds(mask, seeds_from_distance(mask)), KMEANS_MIN_AREA_PX)


@dataclass(frozen=True)
class Evaluated:
    """An image and its scores by method."""

    sample: Sample
    scores: dict[str, ImageScores]


def score_sample(dataset: Dataset, sample: Sample, methods: dict[str, Method]) -> Evaluated:
    """Score every method on one image."""
    pixels, labels, _ = dataset.read(sample)
    return Evaluated(sample, {name: score_image(labels, method(pixels)) for name, method in methods.items()})
