"""Figures of the shipped models as Markdown tables, from what the trainer measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from monolayer_core.model_card import ModelCard

SHOWN_MODALITIES = {
    "fluorescence": "fluorescence",
    "histology_purple_bg": "stained tissue, purple ground",
    "histology_white_bg": "stained tissue, white ground",
    "brightfield_gray": "grey brightfield",
}
METHODS = {"network": "network", "kmeans": "K-means", "otsu": "Otsu"}
CLASSES = {"rbc": "red blood cells", "wbc": "white blood cells"}


def nuclei_section(card: ModelCard, metrics: Mapping[str, Any]) -> str:
    """Scores of a model as a table: the network beside K-means and Otsu on the same images."""
    data = card.training_data
    introduction = (
        f"`{card.name}` {card.version}: a U-Net trained on {data.images} images with {data.objects:,} nuclei "
        f"({data.name}, {data.licence}). Scores on images of other fields, to which no weight and no threshold was "
        "fitted, though [one rule was chosen after a look at some of them](docs/models/nuclei.md); brackets hold the "
        "95 % bootstrap interval by field."
    )
    return f"{introduction}\n\n{score_table(metrics)}"


def cells_line(card: ModelCard, metrics: Mapping[str, Any]) -> str:
    """One line on the model of phase contrast."""
    network, kmeans = (metrics["methods"][name]["overall"] for name in ("network", "kmeans"))
    error = "confluency_error_absolute"
    return (
        f"[`{card.name}`](docs/models/cells.md) {card.version}: cells in phase contrast ({card.training_data.name}, "
        f"{card.training_data.licence}; {card.training_data.images} images). In {metrics['folds']} folds Dice "
        f"{network['dice']['mean']:.3f}, confluency wrong by {network[error]['mean']:.1f} points on average (bias "
        f"{network['confluency_error']['mean']:+.1f}); K-means by texture is wrong by {kmeans[error]['mean']:.1f}."
    )


def blood_line(card: ModelCard, metrics: Mapping[str, Any]) -> str:
    """One line on the model of blood smears."""
    classes = ", ".join(
        f"{CLASSES[name]} F1 {figures['f1']:.3f}, count wrong by {figures['count_error_per_image']:.2f} an image"
        for name, figures in metrics["classes"].items()
    )
    return (
        f"[`{card.name}`](docs/models/blood.md) {card.version}: red and white blood cells in stained smears "
        f"({card.training_data.name}, {card.training_data.licence}; {card.training_data.images} images, boxes only). "
        f"In {metrics['folds']} folds: {classes}."
    )


def score_table(metrics: Mapping[str, Any]) -> str:
    """The network beside K-means and Otsu, one row for all images and one per modality."""
    baselines = [f"{METHODS[name]}, Kaggle score" for name in ("kmeans", "otsu")]
    header = ("images", "number", "Kaggle score", "AP at IoU 0.5", "Dice", *baselines)
    network, kmeans, otsu = (metrics["methods"][name] for name in METHODS)
    rows = []
    for modality, title in {None: "all", **SHOWN_MODALITIES}.items():
        scores = part(network, modality)
        cells = [title, str(scores["images"]), interval(scores["kaggle_score"])]
        cells += [f"{scores[name]['mean']:.3f}" for name in ("average_precision_50", "dice")]
        cells += [f"{part(other, modality)['kaggle_score']['mean']:.3f}" for other in (kmeans, otsu)]
        rows.append(cells)
    return table(header, rows)


def confluency_table(metrics: Mapping[str, Any]) -> str:
    """Every method on all images of all folds."""
    header = ("method", "Dice", "confluency error, points", "bias, points", "AP at IoU 0.5", "count error, cells")
    rows = []
    for name, title in METHODS.items():
        scores = metrics["methods"][name]["overall"]
        rows.append(
            [
                title,
                interval(scores["dice"]),
                interval(scores["confluency_error_absolute"], 2),
                interval(scores["confluency_error"], 2),
                f"{scores['average_precision_50']['mean']:.3f}",
                f"{scores['count_error_absolute']['mean']:.1f}",
            ]
        )
    return table(header, rows)


def layer_table(metrics: Mapping[str, Any]) -> str:
    """Confluency of made layers, by level and kind."""
    header = ("kind", "level", "layers", "true confluency, %", "found, %", "mean absolute error, points")
    rows = [
        [
            kind,
            f"{level['level_percent']} %",
            str(level["layers"]),
            *(f"{level[name]:.1f}" for name in ("true_percent", "predicted_percent", "mean_absolute_error")),
        ]
        for kind in ("pasted", "mirrored")
        for level in metrics["dense_layers"][kind]["levels"]
    ]
    return table(header, rows)


def size_table(metrics: Mapping[str, Any]) -> str:
    """Objects as the network finds them, by their diameter."""
    header = ("diameter, pixels", "objects", "found, %", "closely found, %", "predicted", "invented, %")
    rows = [
        [
            name,
            str(one["truth"]),
            *(percentage(one[part], one["truth"]) for part in ("found", "closely_found")),
            str(one["prediction"]),
            percentage(one["invented"], one["prediction"]),
        ]
        for name, one in metrics["sizes"].items()
    ]
    return table(header, rows)


def class_table(metrics: Mapping[str, Any]) -> str:
    """Every class as the network finds it, and all objects together as the methods that know no classes do."""
    header = ("objects", "F1", "precision", "recall", "count error per image", "annotated", "found")
    named = [(CLASSES.get(name, name), figures) for name, figures in metrics["classes"].items()]
    named += [(f"all, {METHODS[name]}", figures) for name, figures in metrics["objects"].items()]
    rows = [
        [
            title,
            *(f"{figures[key]:.3f}" for key in ("f1", "precision", "recall")),
            f"{figures['count_error_per_image']:.2f}",
            str(figures["truth_objects"]),
            str(figures["prediction_objects"]),
        ]
        for title, figures in named
    ]
    return table(header, rows)


def part(summary: Mapping[str, Any], modality: str | None) -> Mapping[str, Any]:
    """The scores over all images or over those of one modality."""
    found: Mapping[str, Any] = summary["overall"] if modality is None else summary["by_modality"][modality]
    return found


def percentage(share: int, whole: int) -> str:
    return f"{100 * share / whole:.0f}" if whole else ""


def interval(score: Mapping[str, float], digits: int = 3) -> str:
    return f"{score['mean']:.{digits}f} [{score['low']:.{digits}f}, {score['high']:.{digits}f}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
