"""Score a trained network on the validation images, with K-means and Otsu on the same images beside it.

The network runs through `monolayer_core.pipeline`, the very path that serves it, so the service has the same figures.
"""

import csv
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monolayer_core.arrays import Predict
from monolayer_core.class_counts import ClassCounts, describe
from monolayer_core.evaluation import ScoredImage, summarise
from monolayer_core.model_card import ModelCard, read_card, write_card
from monolayer_core.pipeline import segment
from monolayer_core.size_counts import SizeCounts, size_names
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.dense_layers import measure_layers, pool_layers
from monolayer_trainer.detection import is_told_by_class, summarise_classes, write_class_counts
from monolayer_trainer.kmeans_figures import phase_contrast, robustness
from monolayer_trainer.methods import METHODS, NETWORK, Evaluated, Method, all_methods, score_sample
from monolayer_trainer.progress import watched
from monolayer_trainer.report import write_report
from monolayer_trainer.report_figures import draw_figures
from monolayer_trainer.run_folder import RunError, RunFolder
from monolayer_trainer.scoring import keras_predict
from monolayer_trainer.tables import read_rows

log = logging.getLogger(__name__)


def evaluate(
    run: Path,
    data: Path,
    *,
    phase_contrast_source: Path | None = None,
    dense_layers: bool = False,
    tta: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Score the network of a run and write ``metrics.json``, ``scores.csv``, ``evaluation.md`` and figures beside it.

    Where the data set has several classes, or boxes, ``metrics.json`` also holds ``classes``, the network's scores by
    class, and ``objects``, those of every method without regard to classes; ``class_counts.csv`` has them by image.

    Parameters
    ----------
    run
        Folder of the run; its card takes the figures of the network.
    data
        Prepared data set; its validation images are scored.
    phase_contrast_source
        Phase contrast images with labels, to measure K-means on; left out where None.
    dense_layers
        Measure the network on layers up to full confluency too, made of the validation images.
    tta
        Average the network's answers for four mirror images.
    limit
        Score this many images only, the first.

    Returns
    -------
    dict
        What ``metrics.json`` holds.

    Raises
    ------
    RunError
        The folder holds no finished run, there is no validation image, or the network was trained on one.
    DatasetError
        The data set is missing or damaged.
    """
    folder = RunFolder(run)
    dataset = Dataset.load(data)
    samples = dataset.subset("validation")[:limit]
    if not samples:
        raise RunError(f"{data} has no validation images")
    refuse_trained(folder, samples)
    card, predict = load_network(folder)

    def methods_for(sample: Sample) -> dict[str, Method]:
        return all_methods(card, predict, modality=sample.modality, tta=tta)

    evaluated = [score_sample(dataset, sample, methods_for) for sample in watched(samples)]
    metrics: dict[str, Any] = {
        "dataset": dataset.name,
        "subset": "validation",
        "model": {"name": card.name, "version": card.version},
        "tta": tta,
        "methods": {name: summarise_method(evaluated, name) for name in METHODS},
        "sizes": summarise_sizes(evaluated),
        "kmeans": robustness(dataset.read(sample)[0] for sample in samples),
    }
    if is_told_by_class(dataset, samples):
        metrics |= summarise_detected(dataset, evaluated)
        write_class_counts(
            folder.class_counts,
            dataset.classes,
            [(one.sample, counts) for one in evaluated if (counts := one.detected[NETWORK].classes) is not None],
        )
    if phase_contrast_source is not None:
        metrics["kmeans"]["phase_contrast"] = phase_contrast(phase_contrast_source)
    if dense_layers:
        metrics["dense_layers"] = dense_figures(dataset, samples, card, predict)
    folder.metrics.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    write_scores(folder.scores, evaluated)
    draw_figures(folder.figures, metrics, dataset, evaluated, methods_for)
    write_report(folder, card, metrics)
    if limit is None and not tta:
        held_out = {"images": len(samples), **overall_means(metrics["methods"][NETWORK])}
        held_out |= {f"f1_{name}": round(scores["f1"], 4) for name, scores in metrics.get("classes", {}).items()}
        write_card(card.model_copy(update={"metrics": card.metrics | {"validation": held_out}}), run)
    return metrics


def dense_figures(dataset: Dataset, samples: Sequence[Sample], card: ModelCard, predict: Predict) -> dict[str, Any]:
    """Measure the network on layers made of images it has not seen, see `measure_layers`."""
    images = (dataset.read(sample)[:2] for sample in samples)
    return pool_layers([measure_layers(lambda pixels: segment(pixels, card, predict).labels, images)])


def load_network(folder: RunFolder) -> tuple[ModelCard, Predict]:
    """Load card and network of a finished run; imports Keras.

    Raises
    ------
    RunError
        The run has not been finished.
    """
    if not folder.model.exists() or not folder.card.exists():
        raise RunError(f"{folder.path} holds no finished run: train first, or resume it")
    import keras

    return read_card(folder.path), keras_predict(keras.saving.load_model(folder.model, compile=False))


def refuse_trained(folder: RunFolder, samples: tuple[Sample, ...]) -> None:
    """Refuse to score a network on images it has seen.

    Raises
    ------
    RunError
        One of the samples was trained or tuned on.
    """
    seen = {row["ImageId"] for row in read_rows(folder.images)}
    known = [sample.id for sample in samples if sample.id in seen]
    if known:
        raise RunError(f"{len(known)} validation images were used in training, among them {known[0]}: another split?")


def summarise_method(evaluated: list[Evaluated], name: str) -> dict[str, Any]:
    """Mean scores of one method, over all images and by modality, with intervals over groups."""
    return summarise(
        [ScoredImage(one.sample.id, one.scores[name], one.sample.group, one.sample.modality) for one in evaluated]
    )


def summarise_detected(dataset: Dataset, evaluated: list[Evaluated]) -> dict[str, Any]:
    """Scores of the network by class and of every method without regard to classes, pooled over the images.

    ``classes`` is empty where the network has other classes than the data set.
    """
    by_class = [one.detected[NETWORK].classes or () for one in evaluated]
    return {
        "classes": summarise_classes(dataset.classes, by_class),
        "objects": {
            name: describe(sum((one.detected[name].objects for one in evaluated), ClassCounts()))
            for name in evaluated[0].detected
        },
    }


def summarise_sizes(evaluated: list[Evaluated]) -> dict[str, dict[str, dict[str, int]]]:
    """Objects of the network by size, pooled over the images; sizes of which there are none are left out."""
    pooled = [sum(counts, SizeCounts()) for counts in zip(*(one.sizes[NETWORK] for one in evaluated), strict=True)]
    named = zip(size_names(), pooled, strict=True)
    return {name: asdict(counts) for name, counts in named if counts != SizeCounts()}


def overall_means(summary: dict[str, Any]) -> dict[str, float]:
    """Means over all images, rounded to four digits, without their intervals."""
    parts = summary["overall"].items()
    return {name: round(value["mean"], 4) for name, value in parts if isinstance(value, dict)}


def write_scores(path: Path, evaluated: list[Evaluated], *, fold_of: dict[str, int] | None = None) -> None:
    """Write the scores of every image and method, one row each; with the fold of the image where there are folds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = list(asdict(next(iter(evaluated[0].scores.values()))))
        fold = [] if fold_of is None else ["fold"]
        writer.writerow(["ImageId", "group", "modality", *fold, "method", *columns])
        for one in evaluated:
            for name, scores in one.scores.items():
                row = [f"{value:.4f}" if isinstance(value, float) else value for value in asdict(scores).values()]
                place = [] if fold_of is None else [fold_of[one.sample.id]]
                writer.writerow([one.sample.id, one.sample.group, one.sample.modality, *place, name, *row])
