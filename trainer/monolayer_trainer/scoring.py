"""Scores of a network on labelled images, by the very path that serves them: `monolayer_core.pipeline`."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from monolayer_core.arrays import ImageUInt8, LabelImage, Predict, Probabilities, TileBatch
from monolayer_core.input_scale import shrink
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import SegmentOptions, prepare
from monolayer_core.prediction import predict_probabilities
from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.geometry import smallest_scale
from monolayer_trainer.image_cache import median_diameter_px, nearest
from monolayer_trainer.tuning import ThresholdSearch

HALF = 0.5

OWN_SIZE_COUNTS = 2
"""How often images at their own size count where thresholds are chosen; those at half of it count once."""

AS_THE_CARD_SAYS = SegmentOptions()


@dataclass(frozen=True)
class Example:
    """A labelled image as the network sees it: ``(y, x, c)`` uint8 and its int32 labels."""

    id: str
    modality: str
    image: ImageUInt8
    labels: LabelImage


def read_examples(dataset: Dataset, samples: Sequence[Sample], card: ModelCard) -> list[Example]:
    """Read and normalise samples once, for many scores."""
    examples = []
    for sample in samples:
        pixels, labels, _ = dataset.read(sample)
        examples.append(Example(sample.id, sample.modality, prepare(pixels, card, AS_THE_CARD_SAYS), labels))
    return examples


def at_half_size(examples: Sequence[Example], augmentation: AugmentationConfig) -> list[Example]:
    """Give the examples at half their size, as far as the network was trained to see such objects so small.

    Thresholds that suit one magnification alone may find nothing at all at another, of which the network itself knows
    well: they are to be chosen on both.
    """
    smaller = []
    for example in examples:
        if smallest_scale(augmentation, median_diameter_px(example.labels)) <= HALF:
            image = shrink(example.image, HALF)
            smaller.append(replace(example, image=image, labels=nearest(example.labels, *image.shape[:2])))
    return smaller


def keras_predict(model: Any) -> Predict:  # noqa: ANN401 - Keras publishes no types
    """Take a Keras network as the plain callable that core works with: uint8 tiles in, rounded probabilities out."""

    def predict(tiles: TileBatch) -> TileBatch:
        probabilities = np.asarray(model.predict_on_batch(tiles.astype(np.float32)))
        answer: TileBatch = (probabilities * 255 + 0.5).astype(np.uint8)  # rounded as the exported graph does
        return answer

    return predict


def predict_examples(examples: Sequence[Example], card: ModelCard, predict: Predict) -> list[Probabilities]:
    """Probabilities ``(y, x, output)`` of each image."""
    return [predict_probabilities(example.image, card, predict) for example in examples]


def one_of_each_kind(examples: Sequence[Example], count: int) -> list[Example]:
    """Choose up to `count` examples, one modality after the other."""
    kinds: dict[str, list[Example]] = {}
    for example in examples:
        kinds.setdefault(example.modality, []).append(example)
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*kinds.values()))
    return [example for example in rounds if example is not None][:count]


class InstanceScore:
    """The figure checkpoints are chosen by: the Kaggle score with the best of a few thresholds.

    Parameters
    ----------
    examples
        Labelled images that are not trained on.
    card
        Of the network; its thresholds are the starting point.
    """

    def __init__(self, examples: Sequence[Example], card: ModelCard) -> None:
        self._examples = examples
        self._truths = [example.labels for example in examples]
        self._card = card

    def __call__(self, model: Any) -> float:  # noqa: ANN401 - Keras publishes no types
        """Score of a network that gives the card's outputs."""
        probabilities = predict_examples(self._examples, self._card, keras_predict(model))
        return ThresholdSearch(self._truths, probabilities, self._card).coarsely()[1]
