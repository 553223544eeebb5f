"""Give a fresh U-Net the weights of another one.

A bundle holds no batch normalisation any more: the export has folded it into the convolutions. It is unfolded again.
With the mean m and the deviation s that a folded convolution's output has on crops of the data to be learned, a
normalisation with these running statistics, scale s and offset m + bias gives back exactly what it is given, plus the
bias. So the network begins with the answers of the one it comes from, and trains as any other.
"""

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from monolayer_core.model_card import Output
from monolayer_trainer.run_folder import RunError
from monolayer_trainer.start_weights import Convolution, Floats, StartWeights

LEAST_VARIANCE = 1e-6
"""Of a channel that is the same everywhere; keeps its normalisation finite."""


def apply_start_weights(
    model: keras.Model, start: StartWeights, outputs: Sequence[Output], crops: npt.NDArray[np.uint8]
) -> None:
    """Set the weights so that the network answers as the one it starts from.

    Channels and outputs may differ: a network that took RGB takes grey as three equal colours, and the other way round
    the mean of the colours; each output starts from the one of its role (a class from the class of its name, else the
    first), and what has none stays as it was drawn.

    Parameters
    ----------
    model
        From `build_unet`; changed in place.
    start
        Where to begin.
    outputs
        What the model's logits but the first mean.
    crops
        uint8 ``(n, y, x, channel)``, some dozen like those to be trained on.

    Raises
    ------
    RunError
        The two networks have other layers.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    _compare_shapes(layers, start)
    norm_of = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    first, *middle, last = start.convolutions
    first = Convolution(_with_channels(first.kernel, layers[0].kernel.shape[2]), first.bias)
    pairs = []
    for layer, convolution in zip(layers[:-1], (first, *middle), strict=True):
        norm = norm_of.get(layer.name.replace("_conv", "_norm"))
        if norm is None:
            layer.set_weights([convolution.kernel, convolution.bias])
            continue
        layer.set_weights([convolution.kernel])
        one = np.ones_like(convolution.bias)
        norm.set_weights([np.sqrt(one + norm.epsilon), convolution.bias, 0 * one, one])
        pairs.append((layer, norm))
    layers[-1].set_weights(_logits(layers[-1].get_weights(), last, start.outputs, outputs))
    _unfold(model, pairs, crops)


def _compare_shapes(layers: Sequence[keras.layers.Layer], start: StartWeights) -> None:
    """Compare all but the channels of the image and the number of logits."""

    def shapes(kernels: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        first, *middle, last = kernels
        return [(*first[:2], first[3]), *middle, last[:3]]

    wanted = shapes([tuple(layer.kernel.shape) for layer in layers])
    found = shapes([convolution.kernel.shape for convolution in start.convolutions])
    if wanted != found:
        raise RunError(f"the network of {start.source} has layers of other shapes than the one to train")


def _with_channels(kernel: Floats, channels: int) -> Floats:
    """Let a kernel of another number of colours see grey as equal colours, or colours as their mean."""
    if kernel.shape[2] == channels:
        return kernel
    grey = kernel.sum(axis=2, keepdims=True)
    return np.asarray(np.repeat(grey / channels, channels, axis=2), np.float32)


def _logits(drawn: list[Floats], last: Convolution, old: Sequence[Output], new: Sequence[Output]) -> list[Floats]:
    """Kernel and bias of the logits: background first, each other from the old one it continues."""
    kernel, bias = (np.array(weight) for weight in drawn)
    for index, origin in enumerate([0, *(_origin(output, old) for output in new)]):
        if origin is not None:
            kernel[..., index], bias[index] = last.kernel[..., origin], last.bias[origin]
    return [kernel, bias]


def _origin(output: Output, old: Sequence[Output]) -> int | None:
    same_role = [index for index, other in enumerate(old, start=1) if other.role == output.role]
    same_name = [index for index in same_role if old[index - 1].name == output.name]
    return next(iter(same_name + same_role), None)


def _unfold(
    model: keras.Model,
    pairs: Sequence[tuple[keras.layers.Layer, keras.layers.Layer]],
    crops: npt.NDArray[np.uint8],
) -> None:
    """Give neutral normalisations the statistics of the crops, without changing what they do."""
    inner = keras.Model(model.input, [layer.output for layer, _ in pairs])
    sums = [np.zeros((2, layer.kernel.shape[-1])) for layer, _ in pairs]
    pixels = np.zeros(len(pairs))
    for crop in crops:
        for index, features in enumerate(inner.predict_on_batch(crop[None].astype(np.float32))):
            values = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
            sums[index] += np.stack([values.sum(axis=0), (values**2).sum(axis=0)])
            pixels[index] += len(values)
    for (_, norm), (total, squares), count in zip(pairs, sums, pixels, strict=True):
        mean = total / count
        variance = np.maximum(squares / count - mean**2, LEAST_VARIANCE)
        bias = norm.get_weights()[1]
        norm.set_weights([np.sqrt(variance + norm.epsilon), bias + mean, mean, variance])
