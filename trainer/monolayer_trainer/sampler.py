"""Training crops, each a function of the seed and the step alone.

Batch number `step` is the same whoever makes it: this process, another one, or a run resumed in the middle. That is
what makes training reproducible on every backend, and lets several processes share the work (see `sampler_process`).
"""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from monolayer_core.model_card import NormalizationSpec
from monolayer_core.normalization import normalize
from monolayer_trainer.augmentation import AugmentationConfig, augment_intensity
from monolayer_trainer.copy_paste import Filled, fill
from monolayer_trainer.dataset import Dataset, Sample, Subset
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.geometry import bend, cut, draw_scale, orient
from monolayer_trainer.image_cache import CachedImage, ImageCache
from monolayer_trainer.phase_augmentation import augment_phase
from monolayer_trainer.targets import TargetSpec, make_targets

REACH = 0.4
"""How far from the middle of a crop the object lies near which it is cut, as a part of the crop's side."""

OWN_CELLS = 0.4
"""Probability that cells to fill a crop with come from its own image."""

EMPTY_PLACES = 12
"""Places tried for a crop that is to be empty."""

DENSE = 0.5
"""Beyond this coverage the places of a crop are compared and the densest is cut."""

MIRRORED_BELOW, MIRRORED_PART = 0.6, 0.55
"""Below this magnification only this part of a dense crop's side is filled, and mirrored to its full size."""


class Batch(NamedTuple):
    """Crops for one training step.

    Attributes
    ----------
    images
        uint8 ``(n, y, x, c)``.
    class_index
        uint8 ``(n, y, x)``, see `monolayer_trainer.targets.make_targets`.
    distance
        float32 ``(n, y, x)``, 0 to 1; zeros where the targets ask for none.
    """

    images: npt.NDArray[np.uint8]
    class_index: npt.NDArray[np.uint8]
    distance: npt.NDArray[np.float32]


class SamplerConfig(BaseModel):
    """What is cropped and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_side: int = Field(256, gt=0, description="height and width of a crop, in pixels of the network")
    batch_size: int = Field(16, gt=0, description="crops in a batch")
    seed: int = Field(0, ge=0)
    channels: Literal["grey", "rgb"] = Field("rgb", description="channels of the network")
    target: TargetSpec = Field(default_factory=TargetSpec)
    augmentation: AugmentationConfig = Field(default_factory=AugmentationConfig)
    normalization: NormalizationSpec = NormalizationSpec()
    near_object: Annotated[float, Field(ge=0, le=1)] = Field(
        0.8, description="share of crops centred near an object; the others lie anywhere"
    )
    kind_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="a modality is drawn with its frequency to this power: 1 all images alike, 0 all modalities alike",
    )
    group_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="within a modality, a group is drawn with its number of images to this power"
    )
    class_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="the object near which a crop lies is drawn with its class's frequency to this power: 1 all "
        "objects alike, 0 all classes alike",
    )
    only: tuple[str, ...] | None = Field(
        None, description="names of the images to draw from; None for the whole subset"
    )
    input_scale: float = Field(1.0, gt=0, le=1, description="images are shrunk to this part of their size first")
    cache_bytes: int = Field(2**31, gt=0, description="memory for decoded images and labels")


class CropSampler:
    """Draws crops from one side of a prepared data set.

    Parameters
    ----------
    dataset_folder
        A folder written by ``monolayer-train prepare``.
    subset
        Side of the split.
    config
        What is cropped and how.

    Raises
    ------
    DatasetError
        There is no such data set, or no image to draw from.
    """

    def __init__(self, dataset_folder: Path, subset: Subset, config: SamplerConfig) -> None:
        self._config = config
        dataset = Dataset.load(dataset_folder)
        samples = dataset.subset(subset)
        if config.only is not None:
            wanted = set(config.only)
            unknown = wanted - {sample.id for sample in samples}
            if unknown:
                raise DatasetError(f"{dataset_folder}: no image {min(unknown)} in the {subset} subset")
            samples = tuple(sample for sample in samples if sample.id in wanted)
        if not samples:
            raise DatasetError(f"{dataset_folder}: the {subset} subset is empty")
        self.samples = samples
        self._class_odds = class_odds(samples, len(dataset.classes), config.class_exponent)
        self._cumulative = np.cumsum(
            image_weights(samples, config.kind_exponent, config.group_exponent, self._class_odds)
        )
        self._cache = ImageCache(dataset, config, config.cache_bytes, input_scale=config.input_scale)

    def batch(self, step: int) -> Batch:
        """Batch number `step`, counted from 0."""
        side, n = self._config.crop_side, self._config.batch_size
        channels = 1 if self._config.channels == "grey" else 3
        images = np.empty((n, side, side, channels), np.uint8)
        class_index = np.empty((n, side, side), np.uint8)
        distance = np.empty((n, side, side), np.float32)
        for i in range(n):
            rng = np.random.default_rng((self._config.seed, step, i))
            images[i], class_index[i], distance[i] = self._crop(rng)
        return Batch(images, class_index, distance)

    def _crop(
        self, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        config = self._config
        changes = config.augmentation.drawn(rng)
        source = self._draw(rng)
        scale = draw_scale(rng, changes, source.diameter_px)
        side = max(round(config.crop_side / scale), 1)
        dense, phase = changes.dense, changes.phase
        if phase is not None and rng.random() < phase.empty:
            image, labels, object_classes = self._emptiest(source, side, rng)
        elif dense is not None and rng.random() < dense.probability:
            image, labels, object_classes = self._filled(source, side, scale, rng, dense)
        else:
            y, x = _place(source, side, rng, config.near_object, self._class_odds)
            image, labels = cut(source.image, source.labels, y=y, x=x, side=side, size=config.crop_side)
            object_classes = source.object_classes
        image, labels = orient(image, labels, rng, changes)
        if rng.random() < changes.elastic:
            image, labels = bend(image, labels, rng, changes.elastic_px)
        if phase is not None:
            image = augment_phase(image, labels, rng, phase)
        image = augment_intensity(image, rng, changes)
        return image, *make_targets(labels, object_classes, config.target)

    def _draw(self, rng: np.random.Generator) -> CachedImage:
        """Draw an image by its weight."""
        index = int(np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], side="right"))
        return self._cache.read(self.samples[min(index, len(self.samples) - 1)])

    def _emptiest(self, source: CachedImage, side: int, rng: np.random.Generator) -> Filled:
        """Cut the emptiest of some places and normalise it by itself, as an image without cells would be."""
        size = self._config.crop_side
        places = [_place(source, side, rng, 0.0, None) for _ in range(EMPTY_PLACES)]
        y, x = min(places, key=lambda place: _covered_px(source.labels, place, side))
        image, labels = cut(source.image, source.labels, y=y, x=x, side=side, size=size)
        return Filled(normalize(image, self._config.normalization), labels, source.object_classes)

    def _filled(
        self, source: CachedImage, side: int, scale: float, rng: np.random.Generator, dense: DenseConfig
    ) -> Filled:
        """Cut a crop and fill it with more cells, of its own image or of others."""
        config = self._config
        size = config.crop_side
        coverage = rng.uniform(dense.coverage_low, dense.coverage_high)
        is_dense = coverage > DENSE
        if is_dense and scale < MIRRORED_BELOW:  # so many cells take too long: a part is filled, and mirrored
            side, size = max(round(side * MIRRORED_PART), 1), max(round(size * MIRRORED_PART), 1)
        places = [
            _place(source, side, rng, config.near_object, self._class_odds)
            for _ in range(dense.places if is_dense else 1)
        ]
        y, x = max(places, key=lambda place: _covered_px(source.labels, place, side))
        image, labels = cut(source.image, source.labels, y=y, x=x, side=side, size=size)
        filled = fill(
            Filled(image, labels, source.object_classes),
            ground=source.ground,
            scale=size / side,
            coverage=coverage,
            draw=lambda: source if rng.random() < OWN_CELLS else self._draw(rng),
            rng=rng,
            config=dense,
        )
        missing = config.crop_side - size
        top, left = rng.integers(0, missing, 2, endpoint=True)
        image, labels = cut(filled.image, filled.labels, y=-top, x=-left, side=config.crop_side, size=config.crop_side)
        return Filled(image, labels, filled.object_classes)


def class_odds(samples: tuple[Sample, ...], class_count: int, class_exponent: float) -> npt.NDArray[np.float64] | None:
    """How much more often than the average object one of each class is to be drawn.

    Returns
    -------
    float64 (class,) or None
        The class's frequency to the power of `class_exponent` less 1, scaled to a mean over all objects of 1; 1 for a
        class of no objects. None where all objects are to be drawn alike.
    """
    classes = np.array([index for sample in samples for index in sample.object_classes or ()], np.intp)
    counts = np.bincount(classes, minlength=class_count)
    if class_exponent == 1 or np.count_nonzero(counts) < 2:
        return None
    there = counts > 0
    odds = np.ones(class_count)
    odds[there] = counts[there] ** (class_exponent - 1)
    odds[there] *= counts.sum() / (counts @ odds)
    return odds


def image_weights(
    samples: tuple[Sample, ...],
    kind_exponent: float,
    group_exponent: float,
    odds: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Probability of each image: modalities by their frequency to a power, within them groups likewise.

    Fields that were cut into many images, and kinds that are frequent, would otherwise decide alone. Images of a group
    are drawn alike or, where there are `odds` of classes, in proportion to the mean of those of their objects; an image
    without objects counts as one of average objects.
    """
    kind, kind_counts = _numbered([sample.modality for sample in samples])
    group, group_counts = _numbered([f"{sample.modality}/{sample.group}" for sample in samples])
    kind_share = kind_counts**kind_exponent
    of_image = group_counts[group] ** (group_exponent - 1)
    if odds is not None:
        of_image *= [odds[list(s.object_classes)].mean() if s.object_classes else 1.0 for s in samples]
    within = of_image / np.bincount(kind, weights=of_image)[kind]
    weights: npt.NDArray[np.float64] = (kind_share / kind_share.sum())[kind] * within
    return weights


def _numbered(names: list[str]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Give each name a number, and count how often each number occurs."""
    _, number, counts = np.unique(names, return_inverse=True, return_counts=True)
    return number, counts.astype(np.float64)


def _place(
    source: CachedImage,
    side: int,
    rng: np.random.Generator,
    near_object: float,
    odds: npt.NDArray[np.float64] | None,
) -> tuple[int, int]:
    """Choose the first pixel ``(y, x)`` of a crop of `side` source pixels.

    A crop lies inside the image; one that is larger than the image holds all of it.
    """
    room = np.array(source.labels.shape) - side
    low, high = np.minimum(room, 0), np.maximum(room, 0)
    if len(source.centres) > 0 and rng.random() < near_object:
        centre = source.centres[_draw_object(source, rng, odds)] + rng.uniform(-REACH, REACH, 2) * side
        y, x = np.clip(np.rint(centre - side / 2), low, high)
    else:
        y, x = rng.integers(low, high, endpoint=True)
    return int(y), int(x)


def _draw_object(source: CachedImage, rng: np.random.Generator, odds: npt.NDArray[np.float64] | None) -> int:
    """Draw one of the objects that have a centre."""
    if odds is None:
        return int(rng.integers(len(source.centres)))
    cumulative = np.cumsum(odds[source.centre_classes])
    index = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
    return min(index, len(cumulative) - 1)


def _covered_px(labels: npt.NDArray[np.int32], place: tuple[int, int], side: int) -> int:
    """Pixels of objects in the crop of `side` pixels whose first pixel is at `place`, within the image."""
    y, x = place
    return int(np.count_nonzero(labels[max(y, 0) : y + side, max(x, 0) : x + side]))
