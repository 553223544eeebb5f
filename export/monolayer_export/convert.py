"""From the Keras network of a run to the bare ONNX graph: float32 in, float32 out, channels first.

Everything that needs TensorFlow in this package is here, imported on first use because that takes seconds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx

from monolayer_core.arrays import TileBatch
from monolayer_core.model_card import ModelCard
from monolayer_export.errors import ExportError

OPSET = 18
"""Old enough for every runtime in use, new enough for axes as inputs and for quantisation per channel."""

KERAS_NAME = "model.keras"


class KerasNetwork(Protocol):
    """What is used of a ``keras.Model``, which publishes no types."""

    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]

    def __call__(self, inputs: object, *, training: bool) -> npt.ArrayLike:
        """Give the probabilities of a batch of images."""


FloatProbabilities = npt.NDArray[np.float32]
"""``(n, y, x, output)``, 0 to 1, before quantisation."""

FloatPredict = Callable[[TileBatch], FloatProbabilities]


def load_network(run: Path) -> KerasNetwork:
    """Load the inference network of a run folder.

    Returns
    -------
    KerasNetwork
        float32 ``(n, y, x, channel)`` holding 0 to 255 in, probabilities ``(n, y, x, output)`` out.

    Raises
    ------
    ExportError
        There is no network, it cannot be read, or Keras runs on another backend than TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ExportError(f"the export needs KERAS_BACKEND=tensorflow, not {keras.backend.backend()}")
    path = run / KERAS_NAME
    if not path.is_file():
        raise ExportError(f"{path} is missing: is {run} the folder of a finished training run?")
    try:
        network: KerasNetwork = keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError) as error:
        raise ExportError(f"{path} cannot be read as a network of stock Keras layers: {error}") from error
    return network


def keras_predict(network: KerasNetwork) -> FloatPredict:
    """Wrap a Keras network as a callable from uint8 tiles ``(n, y, x, channel)`` to float probabilities."""

    def predict(tiles: TileBatch) -> FloatProbabilities:
        return np.asarray(network(tiles.astype(np.float32), training=False), dtype=np.float32)

    return predict


def convert_network(network: KerasNetwork, card: ModelCard) -> onnx.ModelProto:
    """Convert a Keras network to an ONNX graph with one float32 input and one float32 output, both channels first.

    Height and width stay symbolic unless the card says that the network takes one size alone. tf2onnx folds batch
    normalisation into plain convolutions; `simplify` does the rest.

    Raises
    ------
    ExportError
        The network does not take and give what the card says, must know the size of its images where the card leaves it
        open, or holds half-precision tensors.
    """
    import tensorflow as tf
    import tf2onnx

    _check_shapes(network, card)
    side = None if card.dynamic_size else card.tile_sides[0]
    signature = [tf.TensorSpec((None, side, side, card.channel_count), tf.float32, name="image")]
    function = tf.function(lambda image: network(image, training=False))
    # tf2onnx calls the one result of a function Identity:0.
    names = {"inputs_as_nchw": ["image"], "outputs_as_nchw": ["Identity:0"]}
    model: onnx.ModelProto
    try:
        model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET, **names)
    except (TypeError, ValueError) as error:
        # So Keras answers where a layer calculates with a size that is not known yet.
        size = "any size" if side is None else f"{side} x {side} pixels"
        raise ExportError(
            f"the network cannot be converted for images of {size}; bilinear upsampling, for example, must know the "
            f"size: {error}"
        ) from error
    _refuse_half_precision(model)
    return model


def _check_shapes(network: KerasNetwork, card: ModelCard) -> None:
    takes, gives = network.input_shape[-1], network.output_shape[-1]
    if takes != card.channel_count:
        raise ExportError(f"the network takes {takes} channels, its card says {card.channel_count}")
    if gives != len(card.outputs):
        raise ExportError(f"the network gives {gives} outputs, its card names {len(card.outputs)}")


def _refuse_half_precision(model: onnx.ModelProto) -> None:
    """Stop at bfloat16, which converts without a complaint and is then refused by every runtime."""
    half = {onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT16}
    casts = (attribute.i for node in model.graph.node if node.op_type == "Cast" for attribute in node.attribute)
    if half & {tensor.data_type for tensor in model.graph.initializer} or half & set(casts):
        raise ExportError(
            "the network computes in half precision, which cannot be exported: build it again under Keras' float32 "
            "policy, copy the weights with set_weights, and save that"
        )
