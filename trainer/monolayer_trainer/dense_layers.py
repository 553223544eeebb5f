"""Cell layers of known confluency, up to a closed one, made of held-out images to measure a network on.

No labelled image of a dense layer is at hand, so two kinds are made, which err in different ways. *Pasted* layers reach
every level: cells are pasted beneath those of a real field until the level is reached, at their own size and contrast.
*Mirrored* layers are small windows of real fields, mirrored at their edges to a whole image: nothing is pasted, every
contact between cells is real, but the densest levels may be missing. The truth of either is counted in its labels.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage, Pixels
from monolayer_core.measure import confluency_percent
from monolayer_core.normalization import normalize
from monolayer_trainer.copy_paste import Filled, fill
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.geometry import cut
from monolayer_trainer.image_cache import CachedImage

Floats: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["pasted", "mirrored"]
Made: TypeAlias = tuple[ImageUInt8, LabelImage]

LEVELS_PERCENT = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
LAYERS_PER_LEVEL = 3
SIDE_PX = 512

PASTING = DenseConfig(
    scale_spread=0,
    contrast_spread=0,
    donor_images=1,
    seam_low=0.5,
    touching=0.3,
    smallest_piece=0.03,
    strip_px=3,
    closed_gap_px=6,
    most_donors=2000,
)
"""How cells are pasted for an evaluation: as they are, with no more than the width of an outline counted as cell."""

PLACES = 200
"""Places tried for each layer."""

WINDOW_PX = 160
"""Side of the windows that are mirrored: a few cells."""

NEAR_POINTS = 5.0
"""A mirrored layer stands for a level if its confluency is at most this far off, in percentage points."""


OVERALL = ("mean_absolute_error", "worst_level_error", "worst_level_percent", "is_monotonic")
"""Figures over all levels of a kind."""


class Layer(NamedTuple):
    """An image with its truth: uint8 ``(y, x)`` or ``(y, x, 3)``, and int32 labels ``(y, x)``."""

    level_percent: int
    pixels: ImageUInt8
    labels: LabelImage


class Field(NamedTuple):
    """A held-out image, normalised, and the sums of its covered pixels above and to the left: ``(y + 1, x + 1)``."""

    source: CachedImage
    sums: npt.NDArray[np.int64]

    @classmethod
    def of(cls, pixels: Pixels, labels: LabelImage) -> "Field":
        """Prepare an image as decoded and its labels."""
        image = normalize(pixels).reshape(*labels.shape, -1)
        classes = np.zeros(int(labels.max(initial=0)), np.intp)
        sums = np.cumsum(np.cumsum(labels > 0, axis=0), axis=1)
        return cls(CachedImage.of(image, labels, classes), np.pad(sums, ((1, 0), (1, 0))))

    def squares(self, side: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
        """First pixels ``(n, 2)`` of random squares of `side` pixels, and the covered part of each, 0 to 1."""
        shape = np.array(self.source.labels.shape)
        places = rng.integers(0, np.maximum(shape - side, 0), (PLACES, 2), endpoint=True)
        (top, left), (bottom, right) = places.T, np.minimum(places + side, shape).T
        sums = self.sums
        covered = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return places, covered / ((bottom - top) * (right - left))


class Measured(NamedTuple):
    """What a network found in layers: level, true and predicted confluency of each, in percent, by kind of layer."""

    images: int
    side_px: int
    pasted: list[tuple[int, float, float]]
    mirrored: list[tuple[int, float, float]]


def measure_layers(
    segment: Callable[[Pixels], LabelImage],
    images: Iterable[tuple[Pixels, LabelImage]],
    *,
    levels_percent: Sequence[int] = LEVELS_PERCENT,
    layers_per_level: int = LAYERS_PER_LEVEL,
    side_px: int = SIDE_PX,
    seed: int = 0,
) -> Measured:
    """Make layers of held-out images and let a network find their confluency.

    Parameters
    ----------
    segment
        An image in, its int32 labels out.
    images
        Held-out images as decoded, with their labels; layers are made of these alone.
    levels_percent
        Levels of confluency to make, ascending.
    layers_per_level
        Layers of each level and kind.
    side_px
        Height and width of a layer.
    seed
        Of the layers; the same images and seed give the same layers.
    """
    fields = [Field.of(pixels, labels) for pixels, labels in images]
    found: dict[Kind, list[tuple[int, float, float]]] = {}
    for kind in get_args(Kind):
        layers = make_layers(
            fields, kind, levels_percent=levels_percent, layers_per_level=layers_per_level, side_px=side_px, seed=seed
        )
        found[kind] = [
            (one.level_percent, confluency_percent(one.labels), confluency_percent(segment(one.pixels)))
            for one in layers
        ]
    return Measured(len(fields), side_px, found["pasted"], found["mirrored"])


def pool_layers(measured: Sequence[Measured]) -> dict[str, Any]:
    """Summarise what one or several networks found in layers made of images they had not seen.

    Returns
    -------
    dict
        Number of ``images``, ``side_px``, and for each kind, ``pasted`` and ``mirrored``: ``levels``, a list with the
        means of true and predicted confluency, the mean absolute and the worst error; and over all levels
        ``mean_absolute_error``, ``worst_level_error`` (signed, of the means of a level), ``worst_level_percent`` and
        ``is_monotonic``, whether the predicted means rise with the levels. Percent of the image and percentage points;
        None where no layer could be made.
    """
    return {
        "images": sum(one.images for one in measured),
        "side_px": measured[0].side_px,
        "pasted": summarise_layers(layer for one in measured for layer in one.pasted),
        "mirrored": summarise_layers(layer for one in measured for layer in one.mirrored),
    }


def make_layers(
    fields: Sequence[Field],
    kind: Kind,
    *,
    levels_percent: Sequence[int] = LEVELS_PERCENT,
    layers_per_level: int = LAYERS_PER_LEVEL,
    side_px: int = SIDE_PX,
    seed: int = 0,
) -> Iterator[Layer]:
    """Make layers of one kind, level by level.

    Fewer come for a level where no mirrored window is as dense; none where there is no field.
    """
    make = _pasted if kind == "pasted" else _mirrored
    for level in levels_percent if fields else ():
        for number in range(layers_per_level):
            made = make(fields, level / 100, side_px, np.random.default_rng((seed, level, number)))
            if made is not None:
                image, labels = made
                yield Layer(level, image[..., 0] if image.shape[2] == 1 else image, labels)


def _pasted(fields: Sequence[Field], coverage: float, side: int, rng: np.random.Generator) -> Made | None:
    """Fill any part of a field that is sparser than the level; where there is none, the emptiest stays as it is."""
    field, (y, x) = _choose(
        fields,
        side,
        rng,
        lambda covered: np.where(covered <= coverage, rng.uniform(-1, 0, len(covered)), covered),
    )
    source = field.source
    image, labels = cut(source.image, source.labels, y=y, x=x, side=side, size=side)
    filled = fill(
        Filled(image, labels, source.object_classes),
        ground=source.ground,
        scale=1.0,
        coverage=coverage,
        draw=lambda: source,
        rng=rng,
        config=PASTING,
    )
    return filled.image, filled.labels


def _mirrored(fields: Sequence[Field], coverage: float, side: int, rng: np.random.Generator) -> Made | None:
    """Mirror the window whose coverage is nearest to the level."""
    window = min(WINDOW_PX, side, *(min(field.source.labels.shape) for field in fields))
    field, (y, x) = _choose(fields, window, rng, lambda covered: np.abs(covered - coverage))
    part = np.s_[y : y + window, x : x + window]
    top, left = rng.integers(0, side - window, 2, endpoint=True)
    image, labels = cut(
        field.source.image[part], field.source.labels[part], y=-int(top), x=-int(left), side=side, size=side
    )
    return (image, labels) if abs(confluency_percent(labels) - 100 * coverage) <= NEAR_POINTS else None


def _choose(
    fields: Sequence[Field], side: int, rng: np.random.Generator, cost: Callable[[Floats], Floats]
) -> tuple[Field, tuple[int, int]]:
    """Of random squares of all fields, the one that costs least by its coverage: its field and its first pixel."""
    tried = [field.squares(side, rng) for field in fields]
    costs = [cost(covered) for _, covered in tried]
    best = int(np.argmin([one.min() for one in costs]))
    y, x = tried[best][0][np.argmin(costs[best])]
    return fields[best], (int(y), int(x))


def summarise_layers(measured: Iterable[tuple[int, float, float]]) -> dict[str, Any]:
    """Summarise level, true and predicted confluency of layers, in percent, as `pool_layers` says."""
    of_level: dict[int, list[tuple[float, float]]] = {}
    for level, true, predicted in measured:
        of_level.setdefault(level, []).append((true, predicted))
    levels = []
    for level, pairs in sorted(of_level.items()):
        true, predicted = np.array(pairs).T
        errors = predicted - true
        levels.append(
            {
                "level_percent": level,
                "layers": len(pairs),
                "true_percent": float(true.mean()),
                "predicted_percent": float(predicted.mean()),
                "mean_absolute_error": float(np.abs(errors).mean()),
                "worst_error": float(errors[np.argmax(np.abs(errors))]),
            }
        )
    if not levels:
        return {"levels": [], **dict.fromkeys(OVERALL)}
    found = [one["predicted_percent"] for one in levels]
    of_means = [one["predicted_percent"] - one["true_percent"] for one in levels]
    worst = int(np.argmax(np.abs(of_means)))
    overall = (
        float(np.mean([abs(predicted - true) for pairs in of_level.values() for true, predicted in pairs])),
        of_means[worst],
        levels[worst]["level_percent"],
        all(after > before for before, after in itertools.pairwise(found)),
    )
    return {"levels": levels, **dict(zip(OVERALL, overall, strict=True))}
