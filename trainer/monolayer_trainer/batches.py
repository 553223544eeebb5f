"""From the sampler to Keras: tf.data under TensorFlow, a plain generator elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.losses import pack_targets
from monolayer_trainer.sampler import Batch

Pair = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


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
        Pairs of images ``(n, side, side, channel)`` float32, 0 to 255, and packed targets ``(n, side, side, 2)``.
    """
    if keras.backend.backend() != "tensorflow":
        return pairs(batches)
    import tensorflow as tf

    shape = (config.batch_size, config.crop_side, config.crop_side)
    signature = (
        tf.TensorSpec((*shape, config.channel_count), tf.float32),
        tf.TensorSpec((*shape, 2), tf.float32),
    )
    return tf.data.Dataset.from_generator(lambda: pairs(batches), output_signature=signature).prefetch(2)


def pairs(batches: Iterable[Batch]) -> Iterator[Pair]:
    """Give images and packed targets of each batch."""
    for batch in batches:
        yield batch.images.astype(np.float32), pack_targets(batch.class_index, batch.distance)
