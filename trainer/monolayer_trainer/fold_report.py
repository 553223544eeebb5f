"""A cross-validation as a page to read: ``evaluation.md``."""

from typing import Any

from monolayer_trainer.methods import NETWORK
from monolayer_trainer.report import (
    COLUMNS,
    INTERVALS,
    class_lines,
    dense_layer_lines,
    method_row,
    modality_table,
    size_lines,
    table,
)

HELD_OUT = """Each was judged by the one of {folds} networks that had not seen its group (`folds.csv`). That network's
checkpoint was chosen on a tenth of the groups of the other folds, set aside from its training; its thresholds are those
that suit the images of the other folds best, as answered by the networks that held these out."""

FINAL = """The network in `final`, where there is one, is trained on all images. No image is left to judge it: the
figures here are those of its siblings, which learned from fewer. Its thresholds are those that suit the pooled answers
of its siblings best: {thresholds}. With them these reach a Kaggle score of {score:.3f}, which flatters, because they
were chosen by it."""


def render(metrics: dict[str, Any]) -> str:
    """Render the page as Markdown.

    Parameters
    ----------
    metrics
        As ``metrics.json`` of a cross-validation holds them.
    """
    methods = metrics["methods"]
    overall = methods[NETWORK]["overall"]
    thresholds = ", ".join(f"{name} {value:g}" for name, value in metrics["thresholds"].items())
    lines = [
        "# {name} {version} on {dataset}, in {folds} folds".format(**metrics["model"], **metrics),
        "",
        f"{overall['images']} images of {overall['groups']} groups, {overall['truth_objects']} objects.",
        HELD_OUT.format(folds=metrics["folds"]),
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
        *(dense_layer_lines(metrics["dense_layers"]) if "dense_layers" in metrics else []),
        "## The network, by fold",
        "",
        *table(["fold", "images", "groups", *COLUMNS.values()], fold_rows(metrics["by_fold"])),
        "",
        FINAL.format(thresholds=thresholds, score=metrics["thresholds_kaggle_score"]),
        "",
        "## Examples",
        "",
        f"Input | truth | {' | '.join(methods)}, by the network's Kaggle score.",
        "",
        *(f"![{name}](figures/{name}.png)\n" for name in ("best", "median", "worst")),
    ]
    return "\n".join(lines).rstrip() + "\n"


def fold_rows(by_fold: dict[str, dict[str, Any]]) -> list[list[str]]:
    """One row for each fold, means without intervals."""
    return [
        [number, str(part["images"]), str(part["groups"]), *(f"{part[column]:.3f}" for column in COLUMNS)]
        for number, part in by_fold.items()
    ]
