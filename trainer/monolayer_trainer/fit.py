"""Fit a network to a prepared data set.

The order matters: the process that makes the crops starts first, and only then Keras and its backend are imported,
which takes seconds in which the first crops are made. For the same reason this module imports no Keras.
"""

import logging
from pathlib import Path

from monolayer_trainer.card import draft_card
from monolayer_trainer.config import TrainConfig, read_config, write_config
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.holdout import draw, hold_out, write_used_images
from monolayer_trainer.memory import with_less_memory
from monolayer_trainer.provenance import write_provenance
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.sampler import SamplerConfig
from monolayer_trainer.sampler_process import start_worker_process
from monolayer_trainer.scoring import read_examples

log = logging.getLogger(__name__)


def fit(data: Path, run: Path, config: TrainConfig, *, resume: bool = False) -> RunFolder:
    """Train a network and write all that is known of it into a run folder.

    Parameters
    ----------
    data
        Folder written by ``monolayer-train prepare``.
    run
        Folder for the result.
    config
        How to train.
    resume
        Continue the run in the folder from its last checkpoint.

    Returns
    -------
    RunFolder
        Where everything lies.

    Raises
    ------
    RunError
        The folder already holds a run, or none to resume.
    DatasetError
        The data set is missing or damaged.
    MemoryError
        Memory does not suffice even for the smallest batch.
    """
    dataset = Dataset.load(data)
    folder = RunFolder(run)
    config = folder.open(config, resume=resume)
    training, tuning = hold_out(dataset, config)
    write_provenance(folder, dataset)
    write_used_images(folder.images, training, tuning)

    def attempt(config: TrainConfig) -> None:
        write_config(config, folder.path)
        _train(dataset, folder, config)

    with_less_memory(attempt, config, images=len(training))
    from monolayer_trainer.finish import finish  # imports Keras, see above

    finish(dataset, folder, read_config(folder.path), training=training, tuning=tuning)
    return folder


def _train(dataset: Dataset, folder: RunFolder, config: TrainConfig) -> None:
    training, tuning = hold_out(dataset, config)
    log.info("training on %d images, tuning on %d of other groups", len(training), len(tuning))
    sampler = sampler_config(config, dataset.classes, only=tuple(sample.id for sample in training))
    first_step = folder.read_progress().steps
    with start_worker_process(dataset.folder, "train", sampler, start_step=first_step) as batches:
        from monolayer_trainer.training import train  # imports Keras, see above

        card = draft_card(config, dataset, training)
        scored = read_examples(dataset, draw(tuning, config.score_images, config.seed), card)
        steps_per_epoch = config.steps_per_epoch or max(1, round(len(training) / config.batch_size))
        train(config, folder, batches, card=card, examples=scored, steps_per_epoch=steps_per_epoch)


def sampler_config(config: TrainConfig, classes: tuple[str, ...], *, only: tuple[str, ...]) -> SamplerConfig:
    """Gather what the sampler must know of the training."""
    return SamplerConfig(
        crop_side=config.crop_side,
        batch_size=config.batch_size,
        seed=config.seed,
        channels=config.channels,
        target=config.targets(classes),
        augmentation=config.augmentation,
        only=only,
    )
