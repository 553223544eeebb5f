"""One attempt at fitting the network; imports Keras, so import it only when the sampler's process has started."""

import logging
import sys
from collections.abc import Callable, Iterable, Sequence

import keras

from monolayer_trainer.batches import keras_batches
from monolayer_trainer.callbacks import History, KeepBest, LastCheckpoint, Pace
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.losses import ForegroundDice, SegmentationLoss, category_weights
from monolayer_trainer.networks.build import build_network
from monolayer_trainer.networks.inference import build_inference_network
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.sampler import Batch
from monolayer_trainer.schedule import Budget

CLOCK_DECIDES = 1_000_000
"""Number of epochs where minutes are given: more than any clock allows."""

log = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    folder: RunFolder,
    batches: Iterable[Batch],
    *,
    classes: int,
    steps_per_epoch: int,
    score: Callable[[keras.Model], float],
    displays: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Fit the network from the folder's last checkpoint on, or from the beginning where there is none.

    Parameters
    ----------
    config
        How to train.
    folder
        Takes checkpoints and history.
    batches
        Endless; begins at the step where the checkpoint ends.
    classes
        Number of object classes.
    steps_per_epoch
        Batches per epoch.
    score
        Gives the figure by which the best checkpoint is chosen, for the network that is kept.
    displays
        Called after each epoch with the averaged weights in the model.
    """
    progress = folder.read_progress()
    epochs = CLOCK_DECIDES if config.minutes is not None else config.epochs
    budget = Budget(
        total_steps=config.epochs * steps_per_epoch, minutes=config.minutes, elapsed_seconds=progress.elapsed_seconds
    )
    model = compiled_network(config, classes)
    if folder.last_weights.exists():
        model.load_weights(folder.last_weights)
        log.info("going on after epoch %d", progress.epochs)
    write_summary(model, folder)

    pace = Pace(config, budget, first_step=progress.steps)
    best = KeepBest(
        folder,
        build_inference_network(config, classes),
        score,
        every=config.score_every,
        patience=config.patience,
    )
    model.fit(
        keras_batches(batches, config),
        epochs=epochs,
        initial_epoch=progress.epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=[
            pace,
            LastCheckpoint(folder, pace),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            best,
            *displays,
            History(folder, config, budget),
        ],
        shuffle=False,  # the sampler draws at random
        verbose=1 if sys.stdout.isatty() else 0,
    )


def compiled_network(config: TrainConfig, classes: int) -> keras.Model:
    """Build the network under the policy of the training, with loss, optimizer and its state."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if config.mixed_precision else "float32")
    model = build_network(config, classes)
    keras.mixed_precision.set_dtype_policy("float32")
    optimizer = keras.optimizers.AdamW(
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        clipnorm=config.clip_norm,
        use_ema=True,
        ema_momentum=config.ema_momentum,
    )
    model.compile(
        optimizer=optimizer,
        loss=SegmentationLoss(
            category_weights(config, classes), distance=config.distance, dice_weight=config.dice_weight
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


def write_summary(model: keras.Model, folder: RunFolder) -> None:
    """Write the table of layers and the number of parameters."""
    lines: list[str] = []
    model.summary(line_length=110, print_fn=lines.append)
    folder.summary.write_text("\n".join(lines) + "\n", encoding="utf-8")
