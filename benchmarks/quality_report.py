"""The tables of `benchmarks.quality`, in Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.machine import describe

from monolayer_core.evaluation import ScoredImage, summarise
from monolayer_core.metrics import ImageScores
from monolayer_core.model_card import ModelCard

FOLDS = "folds"
"""Entry of a card's metrics that holds the figures of a cross-validation."""

SCORES = {
    "Kaggle score": ("kaggle_score", 3),
    "AP at IoU 0.5": ("average_precision_50", 3),
    "confluency error, points": ("confluency_error_absolute", 2),
}
"""What is shown of `summarise`, with its digits."""


@dataclass
class Measured:
    """One image: scores, confluency in percent and time in seconds by method."""

    image_id: str
    group: str
    modality: str
    scores: dict[str, ImageScores] = field(default_factory=dict)
    confluency: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def render(cards: Mapping[str, ModelCard], measured: Mapping[str, Sequence[Measured]]) -> str:
    """One section a bundle: the figures measured here, or those its card records."""
    parts = ["# Quality of the bundles, as they are served", describe()]
    parts.append(
        "Answers of the service to the image files; in brackets the 95 % interval of a bootstrap over groups of images."
    )
    for name, card in cards.items():
        parts.append(f"## {name} {card.version}")
        folds = card.metrics.get(FOLDS)
        if folds is not None:
            parts.append("Figures of the cross-validation, as the card records them; measured before, not here:")
            parts.append(recorded(folds))
        images = measured.get(name, [])
        if not images:
            parts.append("No images were given: nothing was measured here.")
            if folds is None:
                parts.append(f"The card records:\n\n{recorded(card.metrics.get('validation', {}))}")
            continue
        if folds is None:
            parts.append(score_tables(images))
        parts.append(times(images))
        parts.append(agreement(card, images, trained_on=folds is not None))
    return "\n\n".join(parts) + "\n"


def recorded(figures: Mapping[str, Any]) -> str:
    """Figures of a card as a list: plain numbers, and means with their intervals."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, Mapping) and "mean" in value:
            lines.append(f"- {name}: {interval(value, 4)}")
        elif isinstance(value, int | float):
            lines.append(f"- {name}: {value}")
    return "\n".join(lines) or "- nothing"


def score_tables(images: Sequence[Measured]) -> str:
    """One table a score: a row for all images and one a modality, a column a method."""
    methods = list(images[0].scores)
    summaries = {
        method: summarise([ScoredImage(one.image_id, one.scores[method], one.group, one.modality) for one in images])
        for method in methods
    }
    tables = []
    for title, (score, digits) in SCORES.items():
        lines = [f"| {title} | images | {' | '.join(methods)} |", "| --- " * (2 + len(methods)) + "|"]
        for modality in (None, *summaries[methods[0]]["by_modality"]):
            parts = [part(summaries[method], modality) for method in methods]
            cells = [interval(each[score], digits) for each in parts]
            lines.append(f"| {modality or 'all'} | {parts[0]['images']} | {' | '.join(cells)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def part(summary: Mapping[str, Any], modality: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = summary["overall"] if modality is None else summary["by_modality"][modality]
    return found


def interval(score: Mapping[str, float | None], digits: int) -> str:
    mean, low, high = (score.get(key) for key in ("mean", "low", "high"))
    if low is None or high is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def times(images: Sequence[Measured]) -> str:
    """Median time of an image by method; the methods took turns, so that the ratios hold on a busy machine too."""
    methods = list(images[0].seconds)
    medians = [1000 * statistics.median(one.seconds[method] for one in images) for method in methods]
    return "\n".join(
        [
            f"| median ms an image | {' | '.join(methods)} |",
            "| --- " * (1 + len(methods)) + "|",
            f"| request to answer; Otsu alone | {' | '.join(f'{median:.0f}' for median in medians)} |",
        ]
    )


def agreement(card: ModelCard, images: Sequence[Measured], *, trained_on: bool) -> str:
    """How far int8 and float32 are apart on the same images, and which of them is the default on a CPU."""
    if card.int8 is None:
        return "The bundle has no int8 file."
    scores = [one.scores["int8"].kaggle_score - one.scores["float32"].kaggle_score for one in images]
    points = [abs(one.confluency["int8"] - one.confluency["float32"]) for one in images]
    which = f"{len(images)} images" + (" that were trained on" if trained_on else "")
    default = "the default" if card.int8.default_on_cpu else "not the default"
    return (
        f"int8 against float32 on {which}: Kaggle score {statistics.fmean(scores):+.4f}, confluency "
        f"{statistics.fmean(points):.3f} points apart on average, {max(points):.2f} at most. "
        f"On a CPU int8 is {default}: {card.int8.reason}."
    )
