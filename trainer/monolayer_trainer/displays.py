"""What a person looks at during a training: pictures of predictions, curves, TensorBoard."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from monolayer_core.arrays import ImageUInt8
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import interpret
from monolayer_trainer.callbacks import History
from monolayer_trainer.curves import draw_curves
from monolayer_trainer.pictures import draw_row, draw_sheet, write_png
from monolayer_trainer.scoring import Example, keras_predict, predict_examples

Logs = Mapping[str, Any] | None

SHOWN_SIDE = 256
"""Pixels of the largest piece shown of an image."""

log = logging.getLogger(__name__)


class PredictionPictures(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Writes input | truth | prediction as a PNG before the first epoch and after each.

    Parameters
    ----------
    folder
        For ``epoch_0000.png`` and so on.
    kept
        The network to show; its weights are those of the last epoch's end when this callback is called.
    examples
        What to show.
    card
        Of the network.
    also
        Called with epoch and picture, for a second place to show it.
    """

    def __init__(
        self,
        folder: Path,
        kept: keras.Model,
        examples: Sequence[Example],
        card: ModelCard,
        *,
        also: Callable[[int, ImageUInt8], None] | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.kept = kept
        self.examples = [cut_out(example) for example in examples]
        self.card = card
        self.also = also

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Show what the network knows before it has learned anything, or where it was left."""
        first = self.folder / "epoch_0000.png"
        if not first.exists():
            self.kept.set_weights(self.model.get_weights())
            self.show(0, self.draw())

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Show what it knows now."""
        self.show(epoch + 1, self.draw())

    def show(self, epoch: int, picture: ImageUInt8) -> None:
        """Put a picture into the folder, and into the second place where there is one."""
        write_png(self.folder / f"epoch_{epoch:04d}.png", picture)
        if self.also is not None:
            self.also(epoch, picture)

    def draw(self) -> ImageUInt8:
        """Draw all examples below each other, uint8 RGB ``(y, x, 3)``."""
        answers = predict_examples(self.examples, self.card, keras_predict(self.kept))
        rows = []
        for example, answer in zip(self.examples, answers, strict=True):
            rows.append(draw_row(example.image, example.labels, interpret(answer, self.card).labels))
        return draw_sheet(rows, [f"{example.modality}: input | truth | prediction" for example in self.examples])


def cut_out(example: Example) -> Example:
    """Take the middle of a large image."""
    starts = [max(0, (length - SHOWN_SIDE) // 2) for length in example.labels.shape]
    where = tuple(slice(start, start + SHOWN_SIDE) for start in starts)
    image, labels = np.ascontiguousarray(example.image[where]), np.ascontiguousarray(example.labels[where])
    return Example(example.id, example.modality, image, labels)


class Curves(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Draws the table of the history whenever there is a new score. Stands behind `History`."""

    def __init__(self, history: History, path: Path) -> None:
        super().__init__()
        self.history = history
        self.path = path

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Draw the curves."""
        if logs is not None and "score" in logs:
            draw_curves(self.history.rows, self.path)


def tensorboard(folder: Path) -> tuple[keras.callbacks.Callback, Callable[[int, ImageUInt8], None]] | None:
    """TensorBoard's callback for the figures and a function that shows it pictures; None without TensorFlow.

    Keras writes TensorBoard's files with TensorFlow on every backend.
    """
    try:
        import tensorflow as tf
    except ImportError:
        log.info("no TensorBoard: TensorFlow is not installed; history.csv, curves.png and samples are written")
        return None
    writer = tf.summary.create_file_writer(str(folder / "pictures"))

    def show(epoch: int, picture: ImageUInt8) -> None:
        with writer.as_default(step=epoch):
            tf.summary.image("input, truth, prediction", picture[None])
        writer.flush()

    return keras.callbacks.TensorBoard(str(folder), write_graph=False), show
