"""The running average of the weights, which scores better and more evenly than the weights of any one step.

Polyak and Juditsky (1992); the average follows closely at first and slowly later, as in TensorFlow's
`ExponentialMovingAverage`, so that the network of a short run is not an average with its random beginning. The running
statistics of the batch normalisation are averaged too: those of the last few batches, whichever kinds of picture they
held, fit no picture well.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

Logs = Mapping[str, Any] | None

Tensor = Any
"""A tensor of whichever backend Keras runs on."""


def momentum_at(step: int, highest: float) -> float:
    """Weight of the old average after `step` steps, rising from 0.1 towards `highest`.

    Examples
    --------
    >>> [round(momentum_at(step, 0.995), 3) for step in (0, 8, 90, 10_000)]
    [0.1, 0.5, 0.91, 0.995]
    """
    return min(highest, (1 + step) / (10 + step))


def moved(average: Sequence[Tensor], weights: Sequence[Tensor], share: np.float32) -> list[Tensor]:
    """Move each average by a share of the way to its weight, wherever the weights are: nothing leaves a GPU."""
    return [old + share * (new - old) for old, new in zip(average, weights, strict=True)]


def compiled(function: Callable[..., list[Tensor]]) -> Callable[..., list[Tensor]]:
    """Make one call to a GPU of a function of many tensors, under JAX, which would make one for each operation."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


class WeightAverage(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Averages weights and statistics after every step; after every epoch the average goes into the kept network.

    Parameters
    ----------
    kept
        Network with the layers of the trained one.
    momentum
        The highest weight of the old average.
    first_step
        Steps done before; where there are any, `kept` already holds the average.
    """

    def __init__(self, kept: keras.Model, momentum: float, *, first_step: int = 0) -> None:
        super().__init__()
        self.kept = kept
        self.momentum = momentum
        self.step = first_step
        self._moved = compiled(moved)

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Begin with the weights as they are, or with the average of the run that is continued."""
        if self.step == 0:
            self.kept.set_weights(self.model.get_weights())
        self._average = [ops.copy(variable.value) for variable in self.kept.weights]

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Take the new weights into the average."""
        if keras.backend.backend() == "jax":
            # JAX keeps the weights outside the model during an epoch.
            self.model.jax_state_sync()
        share = np.float32(1 - momentum_at(self.step, self.momentum))
        self._average = self._moved(self._average, [variable.value for variable in self.model.weights], share)
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Bring the average into the kept network."""
        for variable, average in zip(self.kept.weights, self._average, strict=True):
            variable.assign(ops.copy(average))  # JAX may take the memory of a network's weights for its answers


def save_weights(model: keras.Model, path: Path) -> None:
    """Write weights, and the optimizer's state where there is one, whole or not at all."""
    fresh = path.with_name(f"next.{path.name}")
    model.save_weights(fresh)
    fresh.replace(path)
