"""One attempt at fitting the network; imports Keras, so import it only when the sampler's process has started."""

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from monolayer_core.model_card import ModelCard
from monolayer_trainer.architecture_picture import draw_architecture
from monolayer_trainer.averaging import WeightAverage
from monolayer_trainer.batches import keras_batches
from monolayer_trainer.callbacks import FirstPace, History, KeepBest, KeepLast, LastCheckpoint, Pace
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.displays import Curves, PredictionPictures, tensorboard
from monolayer_trainer.losses import ForegroundDice, SegmentationLoss
from monolayer_trainer.networks.build import build_network
from monolayer_trainer.networks.inference import build_inference_network
from monolayer_trainer.networks.precision import dtype_policy, training_policy
from monolayer_trainer.networks.start import apply_start_weights
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.sampler import Batch
from monolayer_trainer.schedule import Budget
from monolayer_trainer.scoring import Example, InstanceScore, one_of_each_kind
from monolayer_trainer.start_weights import read_start_weights

CLOCK_DECIDES = 1_000_000
"""Number of epochs where minutes are given: more than any clock allows."""

SHOWN_EXAMPLES = 6
"""Images in the pictures of predictions."""

log = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    folder: RunFolder,
    batches: Iterable[Batch],
    *,
    card: ModelCard,
    examples: Sequence[Example],
    steps_per_epoch: int,
    typical_crops: Callable[[], npt.NDArray[np.uint8]],
) -> None:
    """Fit the network from the folder's last checkpoint on, or from the beginning where there is none.

    Parameters
    ----------
    config
        How to train.
    folder
        Takes everything that is written.
    batches
        Endless; begins at the step where the checkpoint ends.
    card
        Draft of the card of the network.
    examples
        Labelled images for pictures and for choosing the best checkpoint; not trained on, unless nothing is chosen.
    steps_per_epoch
        Batches per epoch.
    typical_crops
        Gives some dozen crops ``(n, y, x, c)``; asked only where the network starts from the weights of another.
    """
    progress = folder.read_progress()
    budget = Budget(epochs=config.epochs, minutes=config.minutes, elapsed_seconds=progress.elapsed_seconds)
    model = compiled_network(config, len(card.classes))
    kept = build_inference_network(config, len(card.classes))
    if folder.last_weights.exists():
        model.load_weights(folder.last_weights)
        kept.load_weights(folder.last_average)
        log.info("going on after epoch %d", progress.epochs)
    elif config.start_from is not None:
        apply_start_weights(model, read_start_weights(Path(config.start_from)), card.outputs, typical_crops())
        log.info("starting from the weights of %s", config.start_from)
    describe(model, config, card, folder)
    model.fit(
        keras_batches(batches, config),
        epochs=CLOCK_DECIDES if config.minutes is not None else config.epochs,
        initial_epoch=progress.epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=all_callbacks(
            config,
            folder,
            budget,
            kept,
            card=card,
            examples=examples,
            steps_per_epoch=steps_per_epoch,
            first_step=progress.steps,
        ),
        shuffle=False,  # the sampler draws at random
        verbose=1 if sys.stdout.isatty() else 0,
    )


def all_callbacks(
    config: TrainConfig,
    folder: RunFolder,
    budget: Budget,
    kept: keras.Model,
    *,
    card: ModelCard,
    examples: Sequence[Example],
    steps_per_epoch: int,
    first_step: int,
) -> list[keras.callbacks.Callback]:
    """List what happens around the steps, in the order in which it must happen."""
    pace = Pace(config, budget, steps_per_epoch=steps_per_epoch, first_step=first_step)
    history = History(folder, config, budget)
    board = tensorboard(folder.tensorboard)
    pictures = PredictionPictures(
        folder.samples, kept, one_of_each_kind(examples, SHOWN_EXAMPLES), card, also=board[1] if board else None
    )
    if config.tuning_fraction:
        score = InstanceScore(examples, card)
        keep = KeepBest(folder, kept, score, every=config.score_every, patience=config.patience)
    else:
        keep = KeepLast(folder, kept)
    return [
        pace,
        FirstPace(config, budget, steps_per_epoch=steps_per_epoch),
        WeightAverage(kept, config.average_momentum, first_step=first_step),
        LastCheckpoint(folder, kept, pace),
        keep,
        history,
        Curves(history, folder.curves),
        pictures,
        *([board[0]] if board else []),
    ]


def compiled_network(config: TrainConfig, classes: int) -> keras.Model:
    """Build the network under the policy of the training, with loss, optimizer and its state."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(training_policy(config.mixed_precision)):
        model = build_network(config, classes)
    optimizer = keras.optimizers.AdamW(
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        clipnorm=config.clip_norm,
    )
    model.compile(
        optimizer=optimizer,
        loss=SegmentationLoss(
            config.category_weights(classes), distance=config.distance, dice_weight=config.dice_weight
        ),
        metrics=[ForegroundDice(config.category_count(classes))],
        jit_compile=compiles_well(),
    )
    optimizer.build(model.trainable_variables)
    return model


def compiles_well() -> bool | str:
    """Whether XLA pays: not for TensorFlow on a CPU, where it is slower than oneDNN's own kernels."""
    if keras.backend.backend() != "tensorflow":
        return "auto"
    import tensorflow as tf

    return "auto" if tf.config.list_physical_devices("GPU") else False


def describe(model: keras.Model, config: TrainConfig, card: ModelCard, folder: RunFolder) -> None:
    """Write the table of layers, and the network as a picture."""
    lines: list[str] = []
    model.summary(line_length=110, print_fn=lines.append)
    folder.summary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    outputs = ("background", *(output.name for output in card.outputs))
    draw_architecture(config, outputs, model.count_params(), folder.architecture)
