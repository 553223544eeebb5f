"""Weights to start from: those of another run, or of a bundle, read from its ``model.onnx``.

Imports no Keras, so that `fit` can refuse what does not fit before anything is written.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monolayer_core.model_card import MODEL_NAME, Output, read_card
from monolayer_trainer.config import TrainConfig, read_config
from monolayer_trainer.run_folder import RunError, RunFolder

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Convolution:
    """One convolution with its normalisation folded into it.

    Attributes
    ----------
    kernel
        float32 ``(y, x, channel in, channel out)``.
    bias
        float32 ``(channel out,)``.
    """

    kernel: Floats
    bias: Floats


@dataclass(frozen=True)
class StartWeights:
    """The convolutions of a U-Net from image to logits, and what its logits but the first, the background, mean."""

    source: str
    convolutions: tuple[Convolution, ...]
    outputs: tuple[Output, ...]


def refuse_unlike(source: Path, config: TrainConfig) -> None:
    """Find out whether a network can be started from another one.

    Raises
    ------
    RunError
        The source is neither run nor bundle, or its network has other layers than `config` asks for.
    BundleError
        Its model card is missing or not valid.
    """
    if config.architecture != "unet":
        raise RunError("only a U-Net can be started from the weights of another")
    width, depth = _width_and_depth(source)
    if (width, depth) != (config.base_width, config.depth):
        raise RunError(
            f"{source} has a base width of {width} and a depth of {depth}, the network to train {config.base_width} "
            f"and {config.depth}: give --base-width {width} --depth {depth}"
        )
    read_card(source)


def read_start_weights(source: Path) -> StartWeights:
    """Read the network of a run folder (``model.keras``; imports Keras) or of a bundle (``model.onnx``).

    Raises
    ------
    RunError
        The folder holds neither, or a network that is no U-Net of this project.
    BundleError
        The model card is missing or not valid.
    """
    network = RunFolder(source).model
    if network.is_file():
        import keras

        convolutions = _of_keras(keras.saving.load_model(network, compile=False))
    else:
        convolutions = _of_onnx(source)
    return StartWeights(str(source), convolutions, read_card(source).outputs)


def _width_and_depth(source: Path) -> tuple[int, int]:
    if RunFolder(source).model.is_file():
        config = read_config(source)
        if config.architecture != "unet":
            raise RunError(f"{source} holds a {config.architecture}: only a U-Net can be started from")
        return config.base_width, config.depth
    convolutions = _of_onnx(source)
    # Two at each level going down and at the bottom, three at each level going up, and the logits.
    return convolutions[0].bias.size, (len(convolutions) - 3) // 5


def _of_keras(network: Any) -> tuple[Convolution, ...]:  # noqa: ANN401 - Keras publishes no types
    layers = {layer.name: layer for layer in network.layers}
    found = []
    for name, layer in layers.items():
        if type(layer).__name__ != "Conv2D":
            continue
        kernel = np.asarray(layer.kernel, np.float32)
        bias = np.zeros(kernel.shape[-1], np.float32) if layer.bias is None else np.asarray(layer.bias, np.float32)
        norm = layers.get(name.replace("_conv", "_norm"), layer)
        if norm is not layer:
            gamma, beta, mean, variance = (np.asarray(weight, np.float32) for weight in norm.get_weights())
            scale = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = kernel * scale, bias * scale + beta - mean * scale
        found.append(Convolution(kernel, bias))
    return tuple(found)


def _of_onnx(source: Path) -> tuple[Convolution, ...]:
    path = source / MODEL_NAME
    if not path.is_file():
        raise RunError(f"{source} holds neither model.keras nor {MODEL_NAME}: give the folder of a run or of a bundle")
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if len(convolutions) % 5 != 3 or any(set(node.input[1:]) - values.keys() for node in convolutions):
        raise RunError(f"{path} is no U-Net of this project")
    found = []
    for node in convolutions:
        kernel, bias = (values[name] for name in node.input[1:])
        found.append(Convolution(kernel.transpose(2, 3, 1, 0).astype(np.float32), bias.astype(np.float32)))
    return tuple(found)
