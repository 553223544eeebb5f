"""The same images on a CPU in float32 and on the device: how far apart probabilities and objects are."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from benchmarks.pictures import make_mosaic, read_picture

from monolayer_core.arrays import ImageUInt8, Probabilities
from monolayer_core.metrics import iou, kaggle_score
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import interpret, prepare
from monolayer_core.prediction import predict_probabilities
from monolayer_service.segmenters.session import Network

LARGE_SIDE = 1024


class Apart(NamedTuple):
    """How far the answers for one image are apart.

    `levels` is the largest difference of a probability in steps of 1/255, `differing` the share of values that differ,
    `differing_px` the share of pixels whose label is foreground in one answer only, `iou` that of the foregrounds, and
    `objects_score` the mean over thresholds of 0.5 to 0.95 of the objects found again (Kaggle's score).
    """

    levels: int
    differing: float
    counts: tuple[int, int]
    differing_px: float
    iou: float
    objects_score: float


def read_images(folder: Path, card: ModelCard) -> dict[str, ImageUInt8]:
    """Every PNG of a folder as the network sees it, and one of them repeated to a large tile."""
    images: dict[str, npt.NDArray[np.uint8]] = {}
    for path in sorted(folder.glob("*.png")):
        images[path.stem] = read_picture(path)[..., ::-1]
    if not images:
        raise ValueError(f"{folder} holds no PNG images")
    largest = max(images, key=lambda name: images[name].size)
    images[f"{largest}, {LARGE_SIDE}²"] = make_mosaic(images[largest], LARGE_SIDE, LARGE_SIDE)
    return {name: prepare(np.ascontiguousarray(pixels), card) for name, pixels in images.items()}


def answer(network: Network, image: ImageUInt8, batch_size: int = 1) -> Probabilities:
    """Probabilities of one image, tile by tile."""
    return predict_probabilities(image, network.card, network.run, batch_size=batch_size, sides=(256, 512, 1024))


def compare(image: ImageUInt8, card: ModelCard, expected: Probabilities, found: Probabilities) -> Apart:
    """How far two answers for an image are apart."""
    distance = np.abs(found.astype(np.int16) - expected)
    first, second = (interpret(probabilities, card, image=image).labels for probabilities in (expected, found))
    return Apart(
        levels=int(distance.max()),
        differing=float((distance > 0).mean()),
        counts=(int(first.max()), int(second.max())),
        differing_px=float(((first > 0) != (second > 0)).mean()),
        iou=iou(first, second),
        objects_score=kaggle_score(first, second),
    )


class Worst(NamedTuple):
    """Over several images: the largest differences, and in how many the counts are equal."""

    images: int
    equal_counts: int
    levels: int
    differing: float
    differing_px: float
    iou: float
    objects_score: float


def worst_of(found: Sequence[Apart]) -> Worst:
    """The worst of each figure.

    Examples
    --------
    >>> worst_of([Apart(1, 0.1, (3, 3), 0.0, 1.0, 1.0), Apart(0, 0.2, (4, 5), 0.01, 0.98, 0.9)])
    Worst(images=2, equal_counts=1, levels=1, differing=0.2, differing_px=0.01, iou=0.98, objects_score=0.9)
    """
    return Worst(
        images=len(found),
        equal_counts=sum(apart.counts[0] == apart.counts[1] for apart in found),
        levels=max(apart.levels for apart in found),
        differing=max(apart.differing for apart in found),
        differing_px=max(apart.differing_px for apart in found),
        iou=min(apart.iou for apart in found),
        objects_score=min(apart.objects_score for apart in found),
    )
