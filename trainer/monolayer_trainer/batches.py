"""From the sampler to Keras: tf.data under TensorFlow, a plain generator elsewhere."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.losses import pack_targets
from monolayer_trainer.sampler import Batch

Pair = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]


def keras_batches(batches: Iterable[Batch], config: TrainConfig) -> Any:  # noqa: ANN401 - of the backend's own type
    """Wrap the sampler for `keras.Model.fit`.

    Parameters
    ----------
    batches
        Endless.
    config
        Says the shapes, so that TensorFlow compiles one graph for fixed sizes.

    Returns
    -------
    tf.data.Dataset or generator
        Pairs of images ``(n, side, side, channel)`` uint8 and packed targets ``(n, side, side, 2)`` float32. The next
        pair is made while the network learns from one.
    """
    if keras.backend.backend() != "tensorflow":
        return one_ahead(pairs(batches))
    import tensorflow as tf

    shape = (config.batch_size, config.crop_side, config.crop_side)
    signature = (
        tf.TensorSpec((*shape, config.channel_count), tf.uint8),
        tf.TensorSpec((*shape, 2), tf.float32),
    )
    return tf.data.Dataset.from_generator(lambda: pairs(batches), output_signature=signature).prefetch(2)


def pairs(batches: Iterable[Batch]) -> Iterator[Pair]:
    """Give images and packed targets of each batch."""
    for batch in batches:
        yield batch.images, pack_targets(batch.class_index, batch.distance)


def one_ahead(made: Iterator[Pair]) -> Iterator[Pair]:
    """Give the same pairs, each made in a thread of its own while the one before is used."""
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = thread.submit(next, made, None)
        while (pair := coming.result()) is not None:
            coming = thread.submit(next, made, None)
            yield pair
