"""Cross-validation, for data sets too small to spare images: each is judged by a network that never saw its group.

The images are dealt into folds; one network is trained for each fold on all others. What those networks answer to the
images held out from them is the evaluation. The network to ship is trained on every image afterwards; its thresholds
are tuned on the pooled answers, since it has no unseen image of its own.

Every network has an ordinary run folder and is trained, resumed and finished as any other, one after the other in this
process. This module imports no Keras: the sampler's process starts first, see `fit`.
"""

import json
import logging
from pathlib import Path
from typing import Any

from monolayer_core.model_card import ModelCard, read_card, write_card
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.cross_folder import DATA_NAME, CrossFolder
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.evaluate import overall_means
from monolayer_trainer.fit import fit, resume
from monolayer_trainer.folds import folds_of
from monolayer_trainer.methods import NETWORK
from monolayer_trainer.provenance import refuse_other_data
from monolayer_trainer.resplit import write_resplit
from monolayer_trainer.run_folder import RunFolder

log = logging.getLogger(__name__)


def crossvalidate(
    data: Path, run: Path, config: TrainConfig, *, folds: int | None = None, final: bool = True
) -> dict[str, Any]:
    """Train and judge one network for each fold, then train the one to ship; go on where an earlier call ended.

    Parameters
    ----------
    data
        Folder written by ``monolayer-train prepare``. All its images are dealt into folds, whichever side they are on.
    run
        Folder for the result; a `folds.csv` that lies there is used.
    config
        How to train each network.
    folds
        How many; None takes those of the table that is there, or five.
    final
        Train a network on all images too, into ``final``.

    Returns
    -------
    dict
        What ``metrics.json`` holds: pooled figures of all images.

    Raises
    ------
    RunError
        The folder holds something else, or was begun with another configuration or other data.
    DatasetError
        The data set is missing or damaged, does not fit the configuration, or has too few groups.
    MemoryError
        Memory does not suffice even for the smallest batch.
    """
    dataset = Dataset.load(data)
    config.category_weights(len(dataset.classes))
    folder = CrossFolder(run)
    if folder.config.exists():
        folder.begin_or_go_on(config)
    fold_of = folds_of(folder.folds, dataset, folds, config.seed)
    folder.begin_or_go_on(config)
    trained = [train_fold(dataset, folder, config, fold_of, number) for number in range(1, max(fold_of.values()) + 1)]
    if any(trained) or not folder.metrics.exists():
        from monolayer_trainer.fold_scores import score_folds

        score_folds(dataset, folder, config, fold_of)
    metrics: dict[str, Any] = json.loads(folder.metrics.read_bytes())
    if final:
        train_final(dataset, folder, config, metrics)
    return metrics


def train_fold(
    dataset: Dataset, folder: CrossFolder, config: TrainConfig, fold_of: dict[str, int], number: int
) -> bool:
    """Train the network that holds out one fold.

    Returns
    -------
    bool
        Whether there was anything left to train.
    """
    held_out = {image_id for image_id, fold in fold_of.items() if fold == number}
    count = len(dataset.samples)
    log.info("fold %d of %d: %d images held out of %d", number, max(fold_of.values()), len(held_out), count)
    return fit_or_resume(dataset, folder.fold(number), config, held_out)


def train_final(dataset: Dataset, folder: CrossFolder, config: TrainConfig, metrics: dict[str, Any]) -> None:
    """Train the network to ship on all images, and put what the folds taught and their figures into its card."""
    log.info("the network to ship: all %d images", len(dataset.samples))
    everything = config.model_copy(update={"tuning_fraction": 0.0})
    fit_or_resume(dataset, folder.final, everything, set())
    figures = {"folds": metrics["folds"], "images": len(dataset.samples)}
    figures |= overall_means(metrics["methods"][NETWORK])
    for name, scores in metrics.get("classes", {}).items():
        figures |= {f"f1_{name}": round(scores["f1"], 4)}
        figures |= {f"count_error_{name}": round(scores["count_error_per_image"], 4)}
    card = read_card(folder.final)
    learnt = {name: metrics[name] for name in ("thresholds", "score", "confluency_uncertainty")}
    completed = ModelCard.model_validate(card.model_dump() | learnt | {"metrics": {"folds": figures}})
    if completed != card:
        write_card(completed, folder.final)


def fit_or_resume(dataset: Dataset, run: Path, config: TrainConfig, held_out: set[str]) -> bool:
    """Train a network unless it is finished, from its last checkpoint on where there is one.

    Returns
    -------
    bool
        Whether there was anything left to train.

    Raises
    ------
    RunError
        The data set or the images held out are not those the run was begun with.
    """
    ran = RunFolder(run)
    data = write_resplit(dataset, run / DATA_NAME, held_out)
    if ran.card.exists():
        refuse_other_data(ran, Dataset.load(data))
        log.info("%s is finished", run)
        return False
    if ran.config.exists():
        resume(data, run)
    else:
        fit(data, run, config)
    return True
