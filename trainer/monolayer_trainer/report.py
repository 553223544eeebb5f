"""The evaluation as a page to read: ``evaluation.md``."""

from typing import Any

from monolayer_core.model_card import ModelCard
from monolayer_trainer.methods import NETWORK
from monolayer_trainer.run_folder import RunFolder

COLUMNS = {
    "kaggle_score": "Kaggle score",
    "average_precision_50": "AP@0.5",
    "average_precision_75": "AP@0.75",
    "panoptic_quality": "PQ",
    "dice": "Dice",
    "iou": "IoU",
    "count_error_absolute": "count error",
    "confluency_error_absolute": "confluency error",
    "confluency_error": "confluency bias",
}
"""Figures shown, with their headings."""

LAYER_COLUMNS = {"true_percent": "true", "predicted_percent": "found", "worst_error": "worst error"}
"""Figures of a level of made layers, with their headings."""

UNSEEN = """None of these groups was trained on, and none served to choose the checkpoint or the thresholds: those were
chosen on a tenth of the training groups that was set aside (`images.csv`)."""

INTERVALS = """In brackets the 95 % interval of a bootstrap over groups. Errors are means of absolute values, in objects
per image and in percentage points of confluency. The bias is their mean with the sign: positive, too much is found."""


BOX_MATCHES = """Objects are matched one to one where their bounding boxes have an IoU of at least 0.5, and counted over
all images together; the count error is the mean over images. Annotated boxes count as they are, also where they
overlap."""


SIZES = """Diameter of a circle of the object's area. Found: a predicted object overlaps it with an IoU of at least 0.5;
closely found: 0.75. Invented: the share of the predicted objects of this size that overlap no true one so."""


def write_report(folder: RunFolder, card: ModelCard, metrics: dict[str, Any]) -> None:
    """Write the page into the run folder."""
    folder.report.write_text(render(card, metrics), encoding="utf-8")


def render(card: ModelCard, metrics: dict[str, Any]) -> str:
    """Render the page as Markdown.

    Parameters
    ----------
    card
        Of the network.
    metrics
        As ``metrics.json`` holds them.
    """
    methods = metrics["methods"]
    overall = methods[NETWORK]["overall"]
    thresholds = ", ".join(f"{name} {value:g}" for name, value in card.thresholds.model_dump().items())
    lines = [
        f"# {card.name} {card.version} on {metrics['dataset']}",
        "",
        f"{overall['images']} validation images of {overall['groups']} groups, {overall['truth_objects']} objects.",
        UNSEEN,
        f"Thresholds: {thresholds}.",
        "",
        INTERVALS,
        "",
        *table(["method", *COLUMNS.values()], [method_row(name, part["overall"]) for name, part in methods.items()]),
        "",
        "## By modality",
        "",
        *modality_table(methods),
        "",
        "![Kaggle score by modality](figures/scores_by_modality.png)",
        "",
        *size_lines(metrics["sizes"]),
        *class_lines(metrics),
        "## K-means where no network is",
        "",
        *kmeans_lines(metrics["kmeans"]),
        "",
        *(dense_layer_lines(metrics["dense_layers"]) if "dense_layers" in metrics else []),
        "## Examples",
        "",
        f"Input | truth | {' | '.join(methods)}, by the network's Kaggle score.",
        "",
        *(f"![{name}](figures/{name}.png)\n" for name in ("best", "median", "worst")),
    ]
    return "\n".join(lines).rstrip() + "\n"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def method_row(name: str, part: dict[str, Any]) -> list[str]:
    """One method with all its figures."""
    return [name, *(with_interval(part[column]) for column in COLUMNS)]


def with_interval(value: dict[str, float | None]) -> str:
    """Mean and, where there is one, the interval."""
    text = f"{value['mean']:.3f}"
    return text if value["low"] is None else f"{text} ({value['low']:.2f} to {value['high']:.2f})"


def modality_table(methods: dict[str, Any]) -> list[str]:
    """Kaggle score of each method, and Dice and AP of the network, for each kind of picture."""
    header = ["modality", "images", *(f"{name}: Kaggle score" for name in methods), "network: AP@0.5", "network: Dice"]
    rows = []
    for modality, part in methods[NETWORK]["by_modality"].items():
        scores = [with_interval(method["by_modality"][modality]["kaggle_score"]) for method in methods.values()]
        means = [f"{part[name]['mean']:.3f}" for name in ("average_precision_50", "dice")]
        rows.append([modality, str(part["images"]), *scores, *means])
    return table(header, rows)


def size_lines(sizes: dict[str, dict[str, int]]) -> list[str]:
    """Section on the network's objects by their size."""
    header = ["diameter, px", "objects", "found", "closely found", "predicted", "invented"]
    rows = [
        [
            name,
            str(one["truth"]),
            *(share(one[part], one["truth"]) for part in ("found", "closely_found")),
            str(one["prediction"]),
            share(one["invented"], one["prediction"]),
        ]
        for name, one in sizes.items()
    ]
    return ["## By object size", "", SIZES, "", *table(header, rows), ""]


def share(part: int, whole: int) -> str:
    """Write a share in percent; nothing where there is nothing to share."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def class_lines(metrics: dict[str, Any]) -> list[str]:
    """Tables of what was found by class; no lines where the evaluation did not count them."""
    if "objects" not in metrics:
        return []
    rows = [(f"network: {name}", scores) for name, scores in metrics["classes"].items()]
    rows += [(f"{name}: all objects", scores) for name, scores in metrics["objects"].items()]
    header = ["objects", "F1", "precision", "recall", "count error", "there", "found"]
    numbers = ("f1", "precision", "recall", "count_error_per_image")
    cells = [
        [
            name,
            *(f"{scores[key]:.3f}" for key in numbers),
            str(scores["truth_objects"]),
            str(scores["prediction_objects"]),
        ]
        for name, scores in rows
    ]
    return ["## By class", "", BOX_MATCHES, "", *table(header, cells), ""]


def kmeans_lines(figures: dict[str, Any]) -> list[str]:
    """Sentences on uneven light, inversion and phase contrast."""
    vignette = "{mean:.3f} on average, {worst:.3f} at worst".format(**figures["vignette_dice"])
    inversion = "{mean:.2f} % on average, {worst:.2f} % at worst".format(**figures["inversion_percent"])
    lines = [
        f"- {figures['images']} images with a 3:1 vignette, flat field on. Dice with the answer without: {vignette}.",
        f"- The same images inverted. Pixels of the mask that change: {inversion}.",
    ]
    if "phase_contrast" in figures:
        phase = figures["phase_contrast"]
        lines.append(
            f"- Phase contrast by texture, {phase['images']} images: confluency wrong by "
            f"{phase['confluency_error_absolute']:.1f} percentage points on average (bias {phase['bias']:+.1f})."
        )
    return lines


def dense_layer_lines(figures: dict[str, Any]) -> list[str]:
    """Section on made layers of known confluency: a table for each kind, and what they have in common."""
    about = (
        f"Layers made of {figures['images']} validation images. Pasted: cells pasted into a field until the level is "
        "reached. Mirrored: a small window of a field, mirrored to a whole image. Percent of the image."
    )
    lines = ["## Confluency up to a closed layer", "", about, ""]
    for kind in ("pasted", "mirrored"):
        part = figures[kind]
        if not part["levels"]:
            continue
        rows = [[kind, str(one["layers"]), *(f"{one[name]:.1f}" for name in LAYER_COLUMNS)] for one in part["levels"]]
        summary = (
            f"{kind.capitalize()}: wrong by {part['mean_absolute_error']:.1f} points on average, a level by "
            f"{part['worst_level_error']:+.1f} at worst (at {part['worst_level_percent']} %); the answers "
            f"{'rise' if part['is_monotonic'] else 'do not always rise'} with the level."
        )
        lines += [*table(["kind", "layers", *LAYER_COLUMNS.values()], rows), "", summary, ""]
    return lines
