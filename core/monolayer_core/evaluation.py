"""Scores of a data set: means over its images, over all and by modality, with intervals.

The trainer's evaluation, the command line's `score` and the reports all summarise with this one function.
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from monolayer_core.intervals import bootstrap_means
from monolayer_core.metrics import ImageScores

MEAN_SCORES = (
    "kaggle_score",
    "average_precision_50",
    "average_precision_75",
    "average_precision_90",
    "panoptic_quality",
    "dice",
    "iou",
)
"""Scores of which the mean over images is reported."""

ERRORS = ("count_error", "confluency_error")
"""Signed errors: reported as mean (the bias) and as mean of the absolute values."""


@dataclass(frozen=True)
class ScoredImage:
    """One image of a data set with its scores; `group` is what the bootstrap draws, None for an image on its own."""

    image_id: str
    scores: ImageScores
    group: Hashable | None = None
    modality: str | None = None


def summarise(images: Sequence[ScoredImage], *, repeats: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Summarise a data set as a JSON-able dict.

    Returns
    -------
    dict
        ``overall`` and ``by_modality`` (a dict by name in alphabetical order, empty where no image says its modality).
        Each part holds ``images``, ``groups``, ``truth_objects``, ``prediction_objects`` and, for each score,
        ``{"mean", "low", "high"}``: a mean over images with its 95 % interval. An error, such as ``count_error``, has a
        second entry, ``count_error_absolute``.

    Raises
    ------
    ValueError
        There are no images.
    """
    modalities = sorted({image.modality for image in images if image.modality is not None})
    return {
        "overall": _summarise_part(images, repeats, seed),
        "by_modality": {
            modality: _summarise_part([image for image in images if image.modality == modality], repeats, seed)
            for modality in modalities
        },
    }


def _summarise_part(images: Sequence[ScoredImage], repeats: int, seed: int) -> dict[str, Any]:
    scores = [asdict(image.scores) for image in images]
    # An image without a group stands alone; the tuple keeps it apart from a group of the same name.
    groups = [("image", i) if image.group is None else ("group", image.group) for i, image in enumerate(images)]

    columns = {name: [row[name] for row in scores] for name in MEAN_SCORES + ERRORS}
    columns |= {f"{name}_absolute": [abs(value) for value in columns[name]] for name in ERRORS}
    intervals = bootstrap_means(columns, groups, repeats=repeats, seed=seed)
    return {
        "images": len(images),
        "groups": len(set(groups)),
        "truth_objects": sum(image.scores.truth_count for image in images),
        "prediction_objects": sum(image.scores.prediction_count for image in images),
    } | {name: asdict(interval) for name, interval in intervals.items()}
