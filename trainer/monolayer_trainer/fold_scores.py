"""The figures of a cross-validation: every image scored once, by the network that did not see it. Imports Keras."""

import json
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from monolayer_core.arrays import LabelImage, Predict, Probabilities
from monolayer_core.confluency_uncertainty import ConfluencyRecord, uncertainty_points
from monolayer_core.model_card import ModelCard, Thresholds
from monolayer_core.pipeline import segment
from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.cross_folder import CrossFolder
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.dense_layers import Measured, measure_layers, pool_layers
from monolayer_trainer.detection import is_told_by_class
from monolayer_trainer.evaluate import (
    load_network,
    overall_means,
    refuse_trained,
    summarise_detected,
    summarise_method,
    summarise_sizes,
    write_scores,
)
from monolayer_trainer.fold_report import render
from monolayer_trainer.methods import METHODS, NETWORK, Evaluated, Method, all_methods, score_sample
from monolayer_trainer.progress import watched
from monolayer_trainer.report_figures import draw_figures
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.scoring import OWN_SIZE_COUNTS, at_half_size, predict_examples, read_examples
from monolayer_trainer.tables import write_whole
from monolayer_trainer.trust import confluency_record, fit_where_enough, learn_from_answers
from monolayer_trainer.tuning import ThresholdSearch, tuning_window

LEARNT = ("thresholds", "score", "confluency_uncertainty")
"""Fields of the card of a network of all images that are learnt from the folds."""

LAYERS_PER_LEVEL = 2
"""Made layers of each level and kind for each fold."""

log = logging.getLogger(__name__)


class Network(NamedTuple):
    """A trained network, ready to answer."""

    card: ModelCard
    predict: Predict


class Answered(NamedTuple):
    """Held-out images as annotated and as the network of their fold answers, in the order of the data set."""

    folds: list[int]
    truths: list[LabelImage]
    answers: list[Probabilities]


def score_folds(dataset: Dataset, folder: CrossFolder, config: TrainConfig, fold_of: dict[str, int]) -> None:
    """Score each fold's network, and K-means and Otsu, on the images it held out; write tables, figures and page.

    Each network has the thresholds that suit the held-out images of all other folds best: the few images that a
    network was tuned on say less. ``metrics.json`` is written last: where it is, everything is.

    Raises
    ------
    RunError
        A network is missing, or has seen an image that it should have held out.
    """
    network_of = load_networks(dataset, folder, fold_of)
    answered, smaller = answer_held_out(dataset, fold_of, network_of, config.augmentation)
    search = FoldSearch(answered, smaller, network_of[1].card)
    for number, network in network_of.items():
        thresholds = search.thresholds(without=number)
        network_of[number] = network._replace(card=network.card.model_copy(update={"thresholds": thresholds}))

    def methods_for(sample: Sample) -> dict[str, Method]:
        return all_methods(*network_of[fold_of[sample.id]], modality=sample.modality)

    evaluated = [score_sample(dataset, sample, methods_for) for sample in watched(dataset.samples)]
    metrics: dict[str, Any] = {
        "dataset": dataset.name,
        "model": {"name": config.name, "version": config.version},
        "folds": max(fold_of.values()),
        "methods": {name: summarise_method(evaluated, name) for name in METHODS},
        "sizes": summarise_sizes(evaluated),
        "by_fold": by_fold(evaluated, fold_of, network_of),
    }
    if is_told_by_class(dataset, dataset.samples):
        metrics |= summarise_detected(dataset, evaluated)
    if config.augmentation.dense is not None:
        metrics["dense_layers"] = dense_figures(dataset, fold_of, network_of)
    write_scores(folder.scores, evaluated, fold_of=fold_of)
    draw_figures(folder.figures, metrics, dataset, evaluated, methods_for)
    card, figures = learn_from_folds(answered, search, network_of[1].card)
    metrics |= card.model_dump(include=set(LEARNT)) | figures
    folder.report.write_text(render(metrics), encoding="utf-8")
    write_whole(folder.metrics, json.dumps(metrics, indent=2) + "\n")
    means = metrics["methods"][NETWORK]["overall"]
    log.info(
        "Kaggle score %.4f, Dice %.4f, confluency wrong by %.2f points on average: %d images, each held out once",
        *(means[name]["mean"] for name in ("kaggle_score", "dice", "confluency_error_absolute")),
        len(evaluated),
    )


def load_networks(dataset: Dataset, folder: CrossFolder, fold_of: dict[str, int]) -> dict[int, Network]:
    """Load the network of each fold, by the fold's number, and see that it knows none of the fold's images."""
    networks = {}
    for number in range(1, max(fold_of.values()) + 1):
        run = RunFolder(folder.fold(number))
        refuse_trained(run, tuple(sample for sample in dataset.samples if fold_of[sample.id] == number))
        networks[number] = Network(*load_network(run))
    return networks


def by_fold(
    evaluated: Sequence[Evaluated], fold_of: dict[str, int], network_of: dict[int, Network]
) -> dict[str, dict[str, Any]]:
    """Means of the network on each fold, and the thresholds it was judged with."""
    figures = {}
    for number, network in network_of.items():
        ones = [one for one in evaluated if fold_of[one.sample.id] == number]
        figures[str(number)] = {
            "images": len(ones),
            "groups": len({one.sample.group for one in ones}),
            "thresholds": network.card.thresholds.model_dump(),
            **overall_means(summarise_method(ones, NETWORK)),
        }
    return figures


def dense_figures(dataset: Dataset, fold_of: dict[str, int], network_of: dict[int, Network]) -> dict[str, Any]:
    """Measure each network on layers made of the images it held out, and pool them."""

    def measured(number: int, network: Network) -> Measured:
        images = (dataset.read(sample)[:2] for sample in dataset.samples if fold_of[sample.id] == number)
        return measure_layers(
            lambda pixels: segment(pixels, network.card, network.predict).labels,
            images,
            layers_per_level=LAYERS_PER_LEVEL,
            seed=number,
        )

    return pool_layers([measured(number, network) for number, network in network_of.items()])


def answer_held_out(
    dataset: Dataset,
    fold_of: dict[str, int],
    network_of: dict[int, Network],
    augmentation: AugmentationConfig,
) -> tuple[Answered, Answered]:
    """Let the network of each image's fold answer to it, and to the image at half its size, see `at_half_size`."""
    own, smaller = Answered([], [], []), Answered([], [], [])
    for sample in dataset.samples:
        network = network_of[fold_of[sample.id]]
        examples = read_examples(dataset, [sample], network.card)
        for answered, seen in ((own, examples), (smaller, at_half_size(examples, augmentation))):
            answered.folds.extend(fold_of[sample.id] for _ in seen)
            answered.truths.extend(example.labels for example in seen)
            answered.answers.extend(predict_examples(seen, network.card, network.predict))
    return own, smaller


class FoldSearch:
    """Searches for thresholds in what the networks of all folds answer.

    Parameters
    ----------
    own, smaller
        Answers to the images at their own size and at half of it.
    card
        Of one of the networks.
    """

    def __init__(self, own: Answered, smaller: Answered, card: ModelCard) -> None:
        self._own = list(enumerate(own.folds))
        self._smaller = list(enumerate(smaller.folds, start=len(own.folds)))
        self._search = ThresholdSearch(
            [tuning_window(truth) for truth in (*own.truths, *smaller.truths)],
            [tuning_window(answer) for answer in (*own.answers, *smaller.answers)],
            card.model_copy(update={"thresholds": Thresholds()}),
        )

    def thresholds(self, *, without: int | None = None) -> Thresholds:
        """Find those that suit the images best, but for those of one fold."""
        counted = self._own * OWN_SIZE_COUNTS + self._smaller
        return self._search.thoroughly([index for index, fold in counted if fold != without])[0]

    def score_with(self, thresholds: Thresholds) -> float:
        """Mean Kaggle score of all images at their own size."""
        return self._search.score_with(thresholds, [index for index, _ in self._own])


def learn_from_folds(answered: Answered, search: FoldSearch, card: ModelCard) -> tuple[ModelCard, dict[str, Any]]:
    """Learn from what each network answers to the images it held out what the network of all images cannot.

    Parameters
    ----------
    answered, search
        What the networks of the folds answer, and the search for thresholds in it.
    card
        Of one of these networks.

    Returns
    -------
    ModelCard
        With the thresholds, the score of objects and the uncertainty of confluency for a network of all images.
    dict
        ``thresholds_kaggle_score``, which the networks of the folds reach with these thresholds: they were chosen by
        it, so it flatters and is no figure of the evaluation; ``uncertainty_coverage``, the share of images whose true
        confluency lies within the interval learnt from the other folds, None where there are too few images.
    """
    thresholds = search.thresholds()
    learnt = learn_from_answers(answered.truths, answered.answers, card.model_copy(update={"thresholds": thresholds}))
    records = [confluency_record(*pair, learnt) for pair in zip(answered.truths, answered.answers, strict=True)]
    coverage = coverage_over_folds(records, answered.folds)
    return learnt, {"thresholds_kaggle_score": search.score_with(thresholds), "uncertainty_coverage": coverage}


def coverage_over_folds(records: Sequence[ConfluencyRecord], folds: Sequence[int]) -> float | None:
    """Share of images whose error is no larger than what the images of the other folds lead to expect."""
    covered = []
    for number in set(folds):
        others = [record for record, fold in zip(records, folds, strict=True) if fold != number]
        fitted = fit_where_enough(others)
        if fitted is None:
            return None
        covered += [
            abs(record.true_percent - record.predicted_percent) <= uncertainty_points(record.uncertain_percent, fitted)
            for record, fold in zip(records, folds, strict=True)
            if fold == number
        ]
    return sum(covered) / len(covered)
