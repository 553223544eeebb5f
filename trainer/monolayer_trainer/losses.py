"""What the network is told it did wrong: weighted cross-entropy, Dice and the error of the distance.

Written with `keras.ops` alone, so that every Keras backend trains the same network.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

Tensor = Any
"""A tensor of whichever backend Keras runs on."""

OUTSIDE_WEIGHT = 0.1
"""Weight of pixels outside any object in the distance error. Seeds are looked for inside the foreground only, so what
the distance says elsewhere matters little; it is kept near zero for pixels that are taken for foreground by mistake."""


def pack_targets(class_index: npt.NDArray[np.uint8], distance: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Both targets in one array ``(n, y, x, 2)``, as Keras hands a single array to a loss."""
    return np.stack([class_index.astype(np.float32), distance], axis=-1)


class SegmentationLoss(keras.losses.Loss):  # type: ignore[misc] # Keras publishes no types
    """Cross-entropy + ``dice_weight`` x Dice + binary cross-entropy of the distance.

    Parameters
    ----------
    weights
        Of each category (background first) in the cross-entropy; its length says how many logits are categories.
    distance
        Whether one more logit follows, the distance.
    dice_weight
        Of the Dice loss.
    """

    def __init__(self, weights: tuple[float, ...], *, distance: bool, dice_weight: float = 0.5) -> None:
        super().__init__(name="segmentation")
        self.weights = weights
        self.distance = distance
        self.dice_weight = dice_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Loss of a batch, a scalar.

        Parameters
        ----------
        y_true
            ``(n, y, x, 2)`` float32: category index; distance from 0 (edge) to 1 (deepest pixel of the object).
        y_pred
            Logits ``(n, y, x, categories [+ 1])``.
        """
        categories = len(self.weights)
        index = ops.cast(y_true[..., 0], "int32")
        scores = ops.cast(y_pred[..., :categories], "float32")
        truth = ops.one_hot(index, categories, dtype="float32")
        loss = cross_entropy(truth, scores, self.weights)
        if self.dice_weight:
            loss = loss + self.dice_weight * dice_loss(truth, ops.softmax(scores, axis=-1))
        if self.distance:
            loss = loss + distance_loss(y_true[..., 1], ops.cast(y_pred[..., categories], "float32"))
        return loss


def cross_entropy(truth: Tensor, scores: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Mean cross-entropy over pixels, each weighted by its true category.

    Parameters
    ----------
    truth
        One-hot categories ``(n, y, x, category)``.
    scores
        Logits of the same shape.
    weights
        One per category.
    """
    weighted = truth * ops.convert_to_tensor(weights, dtype="float32")
    return -ops.sum(weighted * ops.log_softmax(scores, axis=-1)) / ops.sum(weighted)


def dice_loss(truth: Tensor, probabilities: Tensor) -> Tensor:
    """1 - Dice, over the whole batch, averaged over the categories but for the background.

    The batch is taken as one image, so that a crop without objects does not decide alone; a category that neither
    occurs nor is predicted has a loss of 0.

    Parameters
    ----------
    truth
        One-hot categories ``(n, y, x, category)``, background first.
    probabilities
        Of the same shape.
    """
    truth, probabilities = truth[..., 1:], probabilities[..., 1:]
    both = ops.sum(truth * probabilities, axis=(0, 1, 2))
    total = ops.sum(truth, axis=(0, 1, 2)) + ops.sum(probabilities, axis=(0, 1, 2))
    return 1 - ops.mean((2 * both + 1) / (total + 1))


def distance_loss(truth: Tensor, logits: Tensor) -> Tensor:
    """Binary cross-entropy of the distance, counted inside objects and, lightly, outside.

    Parameters
    ----------
    truth
        Distance ``(n, y, x)``, 0 to 1, 0 outside objects.
    logits
        Of the same shape.
    """
    weight = ops.where(truth > 0, 1.0, OUTSIDE_WEIGHT)
    # max(z, 0) - z t + log(1 + exp(-|z|)): the form that never overflows.
    error = ops.relu(logits) - logits * truth + ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.sum(weight * error) / ops.sum(weight)


class ForegroundDice(keras.metrics.Metric):  # type: ignore[misc] # Keras publishes no types
    """Dice of everything that is not background, gathered over an epoch: a quick sign that the run is alive."""

    def __init__(self, categories: int) -> None:
        super().__init__(name="dice")
        self.categories = categories
        self.both = self.add_weight(name="both", initializer="zeros")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:  # noqa: ARG002
        """Add a batch: targets ``(n, y, x, 2)`` and logits, as `SegmentationLoss` takes them."""
        truth = ops.cast(y_true[..., 0] > 0, "float32")
        guess = ops.cast(ops.argmax(y_pred[..., : self.categories], axis=-1) > 0, "float32")
        self.both.assign_add(ops.sum(truth * guess))
        self.total.assign_add(ops.sum(truth) + ops.sum(guess))

    def result(self) -> Tensor:
        """Twice the common foreground over the sum of both; 1 where there is none at all."""
        return (2 * self.both + 1) / (self.total + 1)
