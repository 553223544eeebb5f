"""The ways to segment an image that an evaluation compares: the network, and the two baselines that learn nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from monolayer_core.arrays import Pixels, Predict
from monolayer_core.distance_seeds import seeds_from_distance
from monolayer_core.instances import fill_holes, remove_small
from monolayer_core.kmeans import KMeansOptions, otsu_mask
from monolayer_core.metrics import ImageScores, score_image
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import (
    KMEANS_MAX_HOLE_AREA_PX,
    KMEANS_MIN_AREA_PX,
    Segmentation,
    SegmentOptions,
    segment,
    segment_kmeans,
)
from monolayer_core.size_counts import SizeCounts, count_by_size
from monolayer_core.splitting import split_by_seeds
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.detection import Detected, Found, count_detected

Method: TypeAlias = Callable[[Pixels], Found]
"""An image as decoded in, its objects out."""

MethodsFor: TypeAlias = Callable[[Sample], dict[str, Method]]
"""The methods that apply to a sample, by name."""

NETWORK, KMEANS, OTSU = "network", "kmeans", "otsu"
METHODS = (NETWORK, KMEANS, OTSU)

PHASE_CONTRAST = "phase"
"""Beginning of the names of modalities whose cells K-means finds by their texture."""


def all_methods(card: ModelCard, predict: Predict, *, modality: str, tta: bool = False) -> dict[str, Method]:
    """Give the methods by name, as in `METHODS`.

    Parameters
    ----------
    card, predict
        The network.
    modality
        Kind of picture. In phase contrast K-means goes by texture; elsewhere it decides by itself.
    tta
        Whether the network sees four mirror images of each.
    """
    options = SegmentOptions(tta=tta)
    kmeans = KMeansOptions(foreground="texture" if modality.startswith(PHASE_CONTRAST) else "auto")
    return {
        NETWORK: lambda pixels: _found(segment(pixels, card, predict, options)),
        KMEANS: lambda pixels: _found(segment_kmeans(pixels, kmeans)),
        OTSU: segment_otsu,
    }


def segment_otsu(pixels: Pixels) -> Found:
    """Cut at Otsu's threshold and split at necks, with everything else as K-means has it."""
    mask = fill_holes(otsu_mask(pixels), KMEANS_MAX_HOLE_AREA_PX)
    labels = remove_small(split_by_seeds(mask, seeds_from_distance(mask)), KMEANS_MIN_AREA_PX)
    return Found(labels, np.zeros(int(labels.max(initial=0)), np.int64), ("object",))


def _found(segmentation: Segmentation) -> Found:
    return Found(segmentation.labels, segmentation.class_ids, segmentation.class_names)


@dataclass(frozen=True)
class Evaluated:
    """An image, and by method its scores, its objects counted by their boxes, and by their size."""

    sample: Sample
    scores: dict[str, ImageScores]
    detected: dict[str, Detected]
    sizes: dict[str, tuple[SizeCounts, ...]]


def score_sample(dataset: Dataset, sample: Sample, methods_for: MethodsFor) -> Evaluated:
    """Score every method on one image."""
    pixels, labels, classes = dataset.read(sample)
    truth = Found(labels, classes, dataset.classes)
    methods = methods_for(sample)
    found = {name: method(pixels) for name, method in methods.items()}
    return Evaluated(
        sample,
        scores={name: score_image(labels, one.labels) for name, one in found.items()},
        detected={name: count_detected(dataset, sample, truth, one) for name, one in found.items()},
        sizes={name: count_by_size(labels, one.labels) for name, one in found.items()},
    )
