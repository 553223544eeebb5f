"""Figures of an evaluation: scores by modality, and the best, middling and worst images."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from monolayer_core.arrays import ImageUInt8
from monolayer_core.normalization import normalize
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.methods import NETWORK, Evaluated, MethodsFor
from monolayer_trainer.pictures import draw_row, draw_sheet, write_png

EXAMPLES = 4
"""Images in each of the three pictures."""


def draw_figures(
    folder: Path, metrics: dict[str, Any], dataset: Dataset, evaluated: list[Evaluated], methods_for: MethodsFor
) -> None:
    """Write ``scores_by_modality.png``, ``best.png``, ``median.png`` and ``worst.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_scores(metrics["methods"], folder / "scores_by_modality.png")
    ranked = sorted(evaluated, key=lambda one: one.scores[NETWORK].kaggle_score, reverse=True)
    middle = max(0, (len(ranked) - EXAMPLES) // 2)
    chosen = {"best": ranked[:EXAMPLES], "median": ranked[middle : middle + EXAMPLES], "worst": ranked[-EXAMPLES:]}
    for name, ones in chosen.items():
        write_png(folder / f"{name}.png", draw_examples(dataset, ones, methods_for))


def draw_scores(methods: dict[str, Any], path: Path) -> None:
    """Draw the Kaggle score of each method for each modality and for all, with its interval."""
    kinds = ["all", *methods[NETWORK]["by_modality"]]
    figure = Figure(figsize=(2.2 * len(kinds) + 2, 4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(kinds))
    width = 0.8 / len(methods)
    for index, (name, summary) in enumerate(methods.items()):
        values = [part["kaggle_score"] for part in (summary["overall"], *summary["by_modality"].values())]
        means = [value["mean"] for value in values]
        below = [value["mean"] - (value["low"] if value["low"] is not None else value["mean"]) for value in values]
        above = [(value["high"] if value["high"] is not None else value["mean"]) - value["mean"] for value in values]
        errors = np.maximum([below, above], 0)
        axes.bar(places + (index - (len(methods) - 1) / 2) * width, means, width, yerr=errors, capsize=3, label=name)
    axes.set_xticks(places, [kind.replace("_", " ") for kind in kinds])
    axes.set(ylabel="Kaggle score", ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=90)


def draw_examples(dataset: Dataset, ones: list[Evaluated], methods_for: MethodsFor) -> ImageUInt8:
    """Draw input | truth | each method for each image, with their Kaggle scores, uint8 RGB ``(y, x, 3)``."""
    rows, captions = [], []
    for one in ones:
        pixels, labels, _ = dataset.read(one.sample)
        methods = methods_for(one.sample)
        rows.append(draw_row(normalize(pixels), labels, *(method(pixels).labels for method in methods.values())))
        scores = ", ".join(f"{name} {one.scores[name].kaggle_score:.3f}" for name in methods)
        captions.append(f"{one.sample.modality}, {one.sample.id[:12]}: {scores}")
    return draw_sheet(rows, captions)
