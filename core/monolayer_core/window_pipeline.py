"""The path of `pipeline` for images so large that nothing of their size but a few bytes a pixel may be held.

The same steps with the same results: tiles are those of the whole image, and objects, scores and percentages are equal,
number by number. What makes that so stands in `docs/adr/0014-large-images-are-split-in-windows.md`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import Predict, PredictStream, Region
from monolayer_core.bit_plane import BitPlane
from monolayer_core.confluency_uncertainty import uncertain_percent_of
from monolayer_core.errors import OptionError
from monolayer_core.instances import above
from monolayer_core.levels import count_each
from monolayer_core.model_card import ModelCard
from monolayer_core.object_score import Outlines, features_of, predict_iou, sum_outlines, uncertain_plane
from monolayer_core.output_planes import OutputPlanes, foreground_of, split_outputs
from monolayer_core.pipeline import (
    DEFAULT_OPTIONS,
    Segmentation,
    SegmentOptions,
    confluency_uncertainty,
    is_unlike_training,
)
from monolayer_core.prediction import plan_prediction
from monolayer_core.row_runs import Float64Array, RowRuns
from monolayer_core.row_source import RowSource, bands
from monolayer_core.tiling import TilePlan, stream_tiles
from monolayer_core.window_input import COUNTED_TYPES, WindowInput
from monolayer_core.window_objects import WindowObjects
from monolayer_core.window_split import DEFAULT_WINDOWS, Windows, fill_small_holes, go_on, plan_windows


def why_whole(dtype: np.dtype[Any], card: ModelCard | None, options: SegmentOptions = DEFAULT_OPTIONS) -> str | None:
    """Say why an image must be looked at as a whole, or None where windows do.

    Parameters
    ----------
    dtype : dtype
        Type of the image's values, in native byte order.
    card : ModelCard or None
        Without one only what holds for every network is said.
    """
    reasons = {
        f"values of type {dtype}": dtype not in COUNTED_TYPES,
        "the network sees images at a part of their size": card is not None and card.input_scale != 1,
        "a semantic network": card is not None and card.task == "semantic",
        "clahe": options.clahe,
        "flat_field": options.flat_field,
        "tta": options.tta,
    }
    return next((reason for reason, is_given in reasons.items() if is_given), None)


@dataclass(frozen=True, eq=False)
class WindowAnswer:
    """What is kept of a network's answer.

    Attributes
    ----------
    classes : list of uint8 (y, x)
        The class outputs.
    boundary : uint8 (y, x) or None
        The boundary output.
    mask, is_core : BitPlane
        Where the foreground and the seed map lie above their thresholds.
    foreground_counts : int64 (256,)
        Pixels of each level of the foreground probability.
    unlike_training_data : bool
        As in `Segmentation`.
    """

    classes: list[npt.NDArray[np.uint8]]
    boundary: npt.NDArray[np.uint8] | None
    mask: BitPlane
    is_core: BitPlane
    foreground_counts: npt.NDArray[np.int64]
    unlike_training_data: bool

    def inside(self, region: Region) -> list[npt.NDArray[np.uint8]]:
        """Class outputs in a region, contiguous."""
        return [np.ascontiguousarray(plane[region]) for plane in self.classes]

    def foreground(self, region: Region) -> npt.NDArray[np.uint8]:
        """Foreground probability in a region."""
        boundary = None if self.boundary is None else np.ascontiguousarray(self.boundary[region])
        return foreground_of(self.inside(region), boundary)


def predict_windows(
    source: RowSource,
    card: ModelCard,
    predict: Predict,
    options: SegmentOptions = DEFAULT_OPTIONS,
    *,
    batch_size: int = 1,
    sides: Sequence[int] | None = None,
) -> WindowAnswer:
    """Let the network see an image tile by tile and keep what objects are made of.

    Parameters
    ----------
    source : RowSource
        The image as it is stored.
    predict : callable
        The network.
    batch_size : int
        Most tiles in one call of the network.
    sides : sequence of int, optional
        Tile sides to use instead of the card's.

    Raises
    ------
    OptionError
        The image must be looked at as a whole, see `why_whole`, or no allowed tile is larger than its halo.
    UnusableImageError
        The image is empty or neither grey nor RGB.
    PredictionError
        The network's answer has another shape or type than the card announces.
    """
    image = prepare_windows(source, card, options)
    plan = plan_prediction(source.height, source.width, card, sides=sides)
    return stream_windows(image, card, functools.partial(map, predict), plan, options, batch_size=batch_size)


def prepare_windows(source: RowSource, card: ModelCard, options: SegmentOptions = DEFAULT_OPTIONS) -> WindowInput:
    """Do for an image in windows what `pipeline.prepare` does for a whole one; its pixels are read once, by rows.

    Raises
    ------
    OptionError
        The image must be looked at as a whole, see `why_whole`.
    UnusableImageError
        The image is empty or neither grey nor RGB.
    """
    if (reason := why_whole(source.dtype, card, options)) is not None:
        raise OptionError(f"this image cannot be looked at in windows: {reason}")
    return WindowInput(source, card)


def stream_windows(
    image: WindowInput,
    card: ModelCard,
    predict: PredictStream,
    plan: TilePlan,
    options: SegmentOptions = DEFAULT_OPTIONS,
    *,
    batch_size: int = 1,
) -> WindowAnswer:
    """Let the network see an image as one stream of batches, of which only a few are in memory at a time.

    Parameters
    ----------
    image : WindowInput
        From `prepare_windows` with the same card and options.
    options, batch_size
        As for `predict_windows`.
    predict : callable
        The network as a map over batches.
    plan : TilePlan
        From `prediction.plan_prediction` for this image and card.

    Raises
    ------
    PredictionError
        The network's answer has another shape or type than the card announces, or an answer is missing.
    """
    height, width = plan.height, plan.width
    answer = WindowAnswer(
        classes=[np.zeros((height, width), dtype=np.uint8) for _ in card.classes],
        boundary=None if card.output_index("boundary") is None else np.zeros((height, width), dtype=np.uint8),
        mask=BitPlane(height, width),
        is_core=BitPlane(height, width),
        foreground_counts=np.zeros(256, dtype=np.int64),
        unlike_training_data=is_unlike_training(image, card),
    )
    for region, part in stream_tiles([image], predict, plan, output_count=len(card.outputs), batch_size=batch_size):
        _take_in(answer, region, split_outputs(part, card), card, options)
    return answer


def _take_in(
    answer: WindowAnswer, region: Region, planes: OutputPlanes, card: ModelCard, options: SegmentOptions
) -> None:
    for kept, plane in zip(answer.classes, planes.inside, strict=True):
        kept[region] = plane
    if answer.boundary is not None and planes.boundary is not None:
        answer.boundary[region] = planes.boundary
    thresholds = card.thresholds
    threshold = thresholds.foreground if options.threshold is None else options.threshold
    answer.mask[region] = above(planes.foreground, threshold)
    answer.is_core[region] = above(planes.seed_map, thresholds.seed)
    answer.foreground_counts[...] += count_each(planes.foreground)


def interpret_windows(
    answer: WindowAnswer,
    card: ModelCard,
    options: SegmentOptions = DEFAULT_OPTIONS,
    *,
    with_scores: bool = True,
    windows: Windows = DEFAULT_WINDOWS,
    check: Callable[[], None] = go_on,
) -> Segmentation:
    """Turn what is kept of a network's answer into objects, as `pipeline.interpret` does with all of it.

    Parameters
    ----------
    answer : WindowAnswer
        From `predict_windows` with the same card and options; the small holes of its mask are filled in place.
    with_scores : bool
        Whether to score the objects; nothing else changes.
    windows : Windows
        How the image is cut; without effect on the result.
    check : callable
        Called again and again, at least once for each window; what it raises ends the work. A thread that nobody waits
        for any more is to stop, and only itself can do so.
    """
    thresholds = card.thresholds
    fill_small_holes(answer.mask, thresholds.max_hole_area_px, windows.cell_px, check)
    image = plan_windows(answer.mask, answer.is_core, thresholds.min_seed_area_px, windows, check)
    height, width = answer.mask.height, answer.mask.width
    objects = WindowObjects(height, width, image.plan.largest)
    for region, labels in image.split():
        objects.add(region, labels, _planes_to_sum(answer, card, region, with_scores=with_scores))

    areas_px = objects.areas_px
    min_area_px = thresholds.min_area_px if options.min_area_px is None else options.min_area_px
    is_kept = areas_px >= max(min_area_px, 1)
    if options.threshold is None:  # who lowers the threshold is looking for faint objects
        is_kept &= objects.means("foreground") >= 255 * thresholds.min_score
    percent = 100.0 * int(areas_px[is_kept].sum()) / (height * width)
    if options.exclude_border:
        is_kept &= ~objects.at_edge
    runs, former = objects.keep(is_kept)
    mean_of_plane = {name: objects.means(name)[former] for name in objects.sums}
    return Segmentation(
        runs=runs,
        class_ids=_class_ids(mean_of_plane, card, runs.count),
        class_names=card.classes,
        scores=_scores(mean_of_plane, card, runs, answer, check) if with_scores else None,
        confluency_percent=percent,
        method="unet",
        uncertainty_points=confluency_uncertainty(
            functools.partial(uncertain_percent_of, answer.foreground_counts), card, options
        ),
        unlike_training_data=answer.unlike_training_data,
    )


def _planes_to_sum(
    answer: WindowAnswer, card: ModelCard, region: Region, *, with_scores: bool
) -> dict[str, npt.NDArray[np.uint8]]:
    """Give the planes of a region whose means over the objects matter."""
    foreground = answer.foreground(region)
    planes = {"foreground": foreground}
    if len(answer.classes) > 1:
        planes |= {_class_key(i): plane for i, plane in enumerate(answer.inside(region))}
    if with_scores and card.score is not None:
        planes["uncertain"] = uncertain_plane(foreground)
        if answer.boundary is not None:
            planes["boundary"] = np.ascontiguousarray(answer.boundary[region])
    return planes


def _class_key(index: int) -> str:
    return f"class {index}"


def _class_ids(mean_of_plane: Mapping[str, Float64Array], card: ModelCard, count: int) -> npt.NDArray[np.int64]:
    if len(card.classes) == 1:
        return np.zeros(count, dtype=np.int64)
    means = np.column_stack([mean_of_plane[_class_key(i)] for i in range(len(card.classes))])
    return np.asarray(means.argmax(axis=1), dtype=np.int64)


def _scores(
    mean_of_plane: Mapping[str, Float64Array],
    card: ModelCard,
    runs: RowRuns,
    answer: WindowAnswer,
    check: Callable[[], None],
) -> Float64Array:
    if card.score is None:
        return mean_of_plane["foreground"] / 255
    features = features_of(
        runs,
        uncertain=mean_of_plane["uncertain"],
        boundary=mean_of_plane.get("boundary"),
        outlines=_outlines(runs, answer, check),
    )
    return predict_iou(features, card.score)


def _outlines(runs: RowRuns, answer: WindowAnswer, check: Callable[[], None]) -> Outlines:
    """Sum up rims and rings band by band, each painted with the rows beside it."""
    totals = np.zeros((len(Outlines._fields), runs.count))
    for rows in bands(runs.height, runs.width):
        check()
        around = slice(max(rows.start - 1, 0), min(rows.stop + 1, runs.height))
        foreground = answer.foreground((around, slice(0, runs.width)))
        inner = slice(rows.start - around.start, rows.stop - around.start)
        totals += sum_outlines(runs.paint(around), foreground, runs.count, inner)
    return Outlines(*totals)
