"""Fit a network to a prepared data set.

The order matters: the process that makes the crops starts first, and only then Keras and its backend are imported,
which takes seconds in which the first crops are made. For the same reason this module imports no Keras.
"""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monolayer_trainer.card import draft_card
from monolayer_trainer.config import TrainConfig, write_config
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.holdout import draw, hold_out, write_used_images
from monolayer_trainer.memory import with_less_memory
from monolayer_trainer.provenance import refuse_other_data, write_provenance
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.sampler import CropSampler, SamplerConfig
from monolayer_trainer.sampler_process import start_worker_process
from monolayer_trainer.scoring import read_examples
from monolayer_trainer.start_weights import refuse_unlike

TYPICAL_CROPS = 32
"""Crops on which the features of a network that starts from another one are measured."""

log = logging.getLogger(__name__)


def fit(data: Path, run: Path, config: TrainConfig) -> RunFolder:
    """Train a network and write all that is known of it into a new run folder.

    Parameters
    ----------
    data
        Folder written by ``monolayer-train prepare``.
    run
        Folder for the result.
    config
        How to train.

    Returns
    -------
    RunFolder
        Where everything lies.

    Raises
    ------
    RunError
        The folder already holds a run.
    DatasetError
        The data set is missing or damaged, or does not fit the configuration.
    MemoryError
        Memory does not suffice even for the smallest batch.
    """
    dataset = Dataset.load(data)
    folder = RunFolder(run)
    refuse_unfit(dataset, config)
    folder.begin(config)
    return _fit(dataset, folder, config)


def resume(
    data: Path, run: Path, *, epochs: int | None = None, minutes: float | None = None, patience: int | None = None
) -> RunFolder:
    """Continue a run from its last checkpoint, with the configuration it was begun with.

    Parameters
    ----------
    data
        The data set the run was begun with.
    run
        Folder of the run.
    epochs, minutes, patience
        Another duration of the whole run; None leaves what the run was begun with.

    Returns
    -------
    RunFolder
        Where everything lies.

    Raises
    ------
    RunError
        The folder holds no run, or the data set is not the one it was begun with.
    DatasetError
        The data set is missing or damaged.
    MemoryError
        Memory does not suffice even for the smallest batch.
    pydantic.ValidationError
        The duration makes no sense.
    """
    dataset = Dataset.load(data)
    folder = RunFolder(run)
    config = folder.take_up(epochs=epochs, minutes=minutes, patience=patience)
    refuse_other_data(folder, dataset)
    refuse_unfit(dataset, config)
    return _fit(dataset, folder, config)


def refuse_unfit(dataset: Dataset, config: TrainConfig) -> None:
    """Find out before anything is written whether a data set can be trained on as configured.

    Raises
    ------
    DatasetError
        There are no training images, or another number of classes than of class weights.
    RunError
        The network cannot be started from the weights it shall start from.
    """
    config.category_weights(len(dataset.classes))
    hold_out(dataset, config)
    if config.start_from is not None:
        refuse_unlike(Path(config.start_from), config)


def _fit(dataset: Dataset, folder: RunFolder, config: TrainConfig) -> RunFolder:
    write_provenance(folder, dataset)

    def attempt(config: TrainConfig) -> TrainConfig:
        write_config(config, folder.path)
        _train(dataset, folder, config)
        return config

    images = len(hold_out(dataset, config)[0])
    config = with_less_memory(attempt, config, images=images)
    from monolayer_trainer.finish import finish  # imports Keras, see above

    training, tuning = hold_out(dataset, config)  # with the limit that memory left
    finish(dataset, folder, config, training=training, tuning=tuning)
    return folder


def _train(dataset: Dataset, folder: RunFolder, config: TrainConfig) -> None:
    training, tuning = hold_out(dataset, config)
    before = None if config.start_from is None else RunFolder(Path(config.start_from)).images
    write_used_images(folder.images, training, tuning, before=before)
    log.info("training on %d images, tuning on %d of other groups", len(training), len(tuning))
    sampler = sampler_config(config, dataset.classes, only=tuple(sample.id for sample in training))
    first_step = folder.read_progress().steps
    with start_worker_process(
        dataset.folder, "train", sampler, start_step=first_step, workers=config.workers
    ) as batches:
        from monolayer_trainer.training import train  # imports Keras, see above

        card = draft_card(config, dataset, training)
        scored = read_examples(dataset, draw(tuning or training, config.score_images, config.seed), card)
        steps_per_epoch = config.steps_per_epoch or max(1, round(len(training) / config.batch_size))

        def typical_crops() -> npt.NDArray[np.uint8]:
            drawn = CropSampler(dataset.folder, "train", sampler)
            return np.concatenate([drawn.batch(step).images for step in range(-(-TYPICAL_CROPS // config.batch_size))])

        try:
            train(
                config,
                folder,
                batches,
                card=card,
                examples=scored,
                steps_per_epoch=steps_per_epoch,
                typical_crops=typical_crops,
            )
        except Exception:
            if batches.error is not None:
                raise batches.error from None
            raise


def sampler_config(config: TrainConfig, classes: tuple[str, ...], *, only: tuple[str, ...]) -> SamplerConfig:
    """Gather what the sampler must know of the training."""
    return SamplerConfig(
        crop_side=config.crop_side,
        batch_size=config.batch_size,
        seed=config.seed,
        channels=config.channels,
        input_scale=config.input_scale,
        target=config.targets(classes),
        augmentation=config.augmentation,
        kind_exponent=config.kind_exponent,
        group_exponent=config.group_exponent,
        class_exponent=config.class_exponent,
        near_object=config.near_object,
        only=only,
    )
