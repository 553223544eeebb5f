"""From decoded pixels to labelled objects: the one path that the service, the evaluation and the parity check all take.

Three steps, each of which can be called, timed and tested alone: `prepare` makes of an image what the network was
trained to see, `prediction` is the only one that calls the network, and `interpret` turns its answer into objects. The
network comes as a plain callable; everything else that must be known of it is in its card.
`segment_kmeans` does the same without a network.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageRegions, ImageUInt8, LabelImage, Pixels, Predict, Probabilities
from monolayer_core.confluency_uncertainty import uncertain_percent, uncertainty_points
from monolayer_core.distance_seeds import seeds_from_distance
from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.instances import (
    drop_border,
    drop_faint,
    drop_small,
    fill_holes,
    foreground_mask,
    seeds_from_map,
)
from monolayer_core.kmeans import KMeansOptions, KMeansResult, cluster
from monolayer_core.likeness import distance_from_training
from monolayer_core.measure import mean_values
from monolayer_core.model_card import ModelCard, NormalizationSpec
from monolayer_core.normalization import apply_clahe, correct_flat_field, luminance, normalize
from monolayer_core.object_score import describe_objects, predict_iou
from monolayer_core.output_planes import split_outputs
from monolayer_core.prediction import predict_probabilities
from monolayer_core.row_runs import RowRuns, find_row_runs
from monolayer_core.row_source import ArrayRows
from monolayer_core.splitting import split_by_seeds

KMEANS_MIN_AREA_PX = 30
"""Without a card to say it: smaller objects of K-means are specks."""

KMEANS_MAX_HOLE_AREA_PX = 100
"""Without a card to say it: smaller holes of K-means are dark spots within an object."""


@dataclass(frozen=True)
class SegmentOptions:
    """What a caller may ask for; None leaves a value to the model card.

    Attributes
    ----------
    threshold : float or None
        A pixel is foreground where its probability is greater, 0 to 1; without effect on K-means.
    min_area_px : int or None
        Objects of fewer pixels are dropped.
    exclude_border : bool
        Whether objects that touch the edge of the image are dropped. Confluency counts them all the same.
    clahe, flat_field : bool
        Whether to even out contrast and illumination before anything looks at the image.
    tta : bool
        Test-time augmentation: whether to average the answers for four mirror images, at four times the price; without
        effect on K-means.

    Raises
    ------
    OptionError
        The threshold is outside 0 to 1 or the area is negative.
    """

    threshold: float | None = None
    min_area_px: int | None = None
    exclude_border: bool = False
    clahe: bool = False
    flat_field: bool = False
    tta: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"the threshold is a probability from 0 to 1, not {self.threshold}")
        if self.min_area_px is not None and self.min_area_px < 0:
            raise OptionError(f"the smallest area is not negative, unlike {self.min_area_px}")


DEFAULT_OPTIONS = SegmentOptions()


class InputSpec(Protocol):
    """What a network is to see. A `ModelCard` says it, and so does the configuration with which one is trained."""

    @property
    def channels(self) -> Literal["grey", "rgb"]: ...  # noqa: D102 - as in `ModelCard`
    @property
    def normalization(self) -> NormalizationSpec: ...  # noqa: D102 - as in `ModelCard`


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The objects of one image; the arrays have one row per object, row ``i`` for label ``i + 1``.

    Attributes
    ----------
    runs : RowRuns
        Where the objects lie, labelled 1 to N in the raster order of their first pixels.
    class_ids : int64 (object,)
        Index into `class_names`.
    class_names : tuple of str
    scores : float64 (object,) or None
        Predicted IoU with the true object where the card says how, else the mean foreground probability inside the
        object; 0 to 1; None without a network and where they were not asked for.
    confluency_percent : float
        Percentage of the image covered by objects of at least the smallest area, those at the edge included.
    method : str
        ``unet`` or ``kmeans``.
    kmeans : KMeansResult or None
        How the clusters turned out; None with a network.
    uncertainty_points : float or None
        The true confluency lies within so many percentage points of `confluency_percent` in 90 % of images like those
        of the training; None without a network, without such a statement in its card, and where the caller's threshold
        or smallest area made another mask than the one it is made for.
    unlike_training_data : bool
        Whether the image is unlike those the network was trained on, as far as its card tells.
    """

    runs: RowRuns
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    scores: npt.NDArray[np.float64] | None
    confluency_percent: float
    method: Literal["unet", "kmeans"]
    kmeans: KMeansResult | None = None
    uncertainty_points: float | None = None
    unlike_training_data: bool = False

    @functools.cached_property
    def labels(self) -> LabelImage:
        """The objects painted: int32 ``(y, x)``, 0 for background; made, and kept, when it is first asked for."""
        return self.runs.paint()


def segment(
    pixels: Pixels, card: ModelCard, predict: Predict, options: SegmentOptions = DEFAULT_OPTIONS, *, batch_size: int = 1
) -> Segmentation:
    """Find the objects of an image with a network: `prepare`, `predict_probabilities` and `interpret` in this order."""
    image = prepare(pixels, card, options)
    probabilities = predict_probabilities(image, card, predict, tta=options.tta, batch_size=batch_size)
    return interpret(probabilities, card, options, image=image)


def prepare(pixels: Pixels, card: InputSpec, options: SegmentOptions = DEFAULT_OPTIONS) -> ImageUInt8:
    """Make of an image what the network was trained to see.

    Colour becomes luminance for a network that takes grey. Then illumination is evened out (where asked for), values
    are stretched to uint8 as the card says, and contrast is evened out (where asked for). Grey is repeated for a
    network that takes RGB.

    Parameters
    ----------
    pixels : (y, x) or (y, x, 3)
        Grey or RGB of any real type.
    card : InputSpec
        The network's card, or the configuration of a training.

    Returns
    -------
    uint8 (y, x, channel)
        With as many channels as the card says, C-contiguous.

    Raises
    ------
    UnusableImageError
        The image is neither grey nor RGB, is empty, or holds values that cannot be used.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[2] != 3):
        raise UnusableImageError(f"an image is (y, x) or (y, x, 3), not {pixels.shape}")
    if pixels.ndim == 3 and card.channels == "grey":
        pixels = luminance(pixels)
    if options.flat_field and pixels.size:
        pixels = correct_flat_field(pixels)
    image = normalize(pixels, card.normalization)
    if options.clahe:
        image = apply_clahe(image)
    if image.ndim == 2:
        image = image[..., np.newaxis]
        if card.channels == "rgb":
            image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image)


def interpret(
    probabilities: Probabilities,
    card: ModelCard,
    options: SegmentOptions = DEFAULT_OPTIONS,
    *,
    image: ImageUInt8 | None = None,
    with_scores: bool = True,
) -> Segmentation:
    """Turn probabilities into objects.

    The foreground probability, the sum of all class outputs and the boundary output, is cut at the threshold, and small
    holes are filled. The mask is split at seeds: pieces of it where the seed map of `split_outputs` lies above the seed
    threshold. The mask of a semantic network, which knows no boundaries, is split at its necks. Objects of a low score
    are dropped, unless the caller sets the threshold, and small ones; then confluency is taken, then objects at the
    edge are dropped where asked for. The class of an object is the one with the largest mean probability inside it, the
    first of equals.

    Parameters
    ----------
    probabilities : uint8 (y, x, output)
        From `predict_probabilities`, in the order of the card's outputs.
    image : uint8 (y, x, channel), optional
        From `prepare`; without it nothing is said of whether it is unlike the training images.
    with_scores : bool
        Whether to score the objects, for a tenth of the price of all that is done here; nothing else changes.

    Raises
    ------
    PredictionError
        The probabilities are not uint8 or not those of the card.
    """
    inside, foreground, boundary, seed_map = split_outputs(probabilities, card)
    thresholds = card.thresholds
    mask = foreground_mask(
        foreground,
        threshold=thresholds.foreground if options.threshold is None else options.threshold,
        max_hole_area_px=thresholds.max_hole_area_px,
    )
    if card.task == "semantic":
        seeds = seeds_from_distance(mask)
    else:
        seeds = seeds_from_map(seed_map, mask, thresholds.seed, min_area_px=thresholds.min_seed_area_px)
    runs = find_row_runs(split_by_seeds(mask, seeds))
    if options.threshold is None:  # who lowers the threshold is looking for faint objects
        runs = drop_faint(runs, foreground, thresholds.min_score)
    runs, percent = _objects(runs, thresholds.min_area_px, options)
    return Segmentation(
        runs=runs,
        class_ids=_vote(runs, inside),
        class_names=card.classes,
        scores=_scores(runs, foreground, boundary, card) if with_scores else None,
        confluency_percent=percent,
        method="unet",
        uncertainty_points=confluency_uncertainty(functools.partial(uncertain_percent, foreground), card, options),
        unlike_training_data=image is not None and is_unlike_training(image, card),
    )


def segment_kmeans(
    pixels: Pixels, kmeans_options: KMeansOptions | None = None, segment_options: SegmentOptions = DEFAULT_OPTIONS
) -> Segmentation:
    """Find the objects of an image without a network: clusters of brightness, colour or texture, split at their necks.

    Parameters
    ----------
    pixels : (y, x) or (y, x, 3)
        Grey or RGB of any real type, as decoded.
    kmeans_options : KMeansOptions, optional
        How to cluster.
    segment_options : SegmentOptions
        Smallest area and border as with a network; CLAHE and flat field are done where either of the two asks for them.
    """
    kmeans_options = KMeansOptions() if kmeans_options is None else kmeans_options
    kmeans_options = replace(
        kmeans_options,
        flat_field=kmeans_options.flat_field or segment_options.flat_field,
        clahe=kmeans_options.clahe or segment_options.clahe,
    )
    result = cluster(pixels, kmeans_options)
    mask = fill_holes(result.mask, KMEANS_MAX_HOLE_AREA_PX)
    seeds = seeds_from_distance(mask)
    runs = find_row_runs(split_by_seeds(mask, seeds))
    runs, percent = _objects(runs, KMEANS_MIN_AREA_PX, segment_options)
    return Segmentation(
        runs=runs,
        class_ids=np.zeros(runs.count, dtype=np.int64),
        class_names=("object",),
        scores=None,
        confluency_percent=percent,
        method="kmeans",
        kmeans=result,
    )


def _objects(runs: RowRuns, default_min_area_px: int, options: SegmentOptions) -> tuple[RowRuns, float]:
    """Objects 1 to N, and the confluency before those at the edge were dropped."""
    runs = drop_small(runs, default_min_area_px if options.min_area_px is None else options.min_area_px)
    percent = 100.0 * int(runs.lengths.sum()) / (runs.height * runs.width)
    return (drop_border(runs) if options.exclude_border else runs), percent


def _vote(runs: RowRuns, inside: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.int64]:
    """Class of each object: the one of the largest mean probability."""
    if len(inside) == 1:
        return np.zeros(runs.count, dtype=np.int64)
    means = np.column_stack([mean_values(runs, ArrayRows(plane)) for plane in inside])
    return np.asarray(means.argmax(axis=1), dtype=np.int64)


def _scores(
    runs: RowRuns,
    foreground: npt.NDArray[np.uint8],
    boundary: npt.NDArray[np.uint8] | None,
    card: ModelCard,
) -> npt.NDArray[np.float64]:
    if card.score is None:
        return mean_values(runs, ArrayRows(foreground)) / 255
    return predict_iou(describe_objects(runs.paint(), runs, foreground, boundary), card.score)


def confluency_uncertainty(
    measure_uncertain: Callable[[], float], card: ModelCard, options: SegmentOptions
) -> float | None:
    """Say within how many points the true confluency lies; see `Segmentation.uncertainty_points`.

    Parameters
    ----------
    measure_uncertain : callable
        Gives what `confluency_uncertainty.uncertain_percent` knows of the image; called where it matters.
    """
    if card.confluency_uncertainty is None or options.threshold is not None or options.min_area_px is not None:
        return None
    return uncertainty_points(measure_uncertain(), card.confluency_uncertainty)


def is_unlike_training(image: ImageRegions, card: ModelCard) -> bool:
    """Say whether a prepared image is unlike those of the training, as far as the card tells."""
    return card.likeness is not None and distance_from_training(image, card.likeness) > card.likeness.max_distance
