"""Small networks for the export: plain ONNX ones made by hand, and a Keras U-Net as the trainer builds it."""

import os
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from monolayer_core.model_card import ModelCard, Output, TrainingData

# Read by TensorFlow when it is imported: no word about a GPU that is not there.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def toy_card() -> ModelCard:
    """A network for RGB in three outputs, halved twice."""
    return ModelCard(
        name="toy",
        version="0.1.0",
        task="instances",
        confluency_of="nucleus",
        channels="rgb",
        outputs=(
            Output(name="nucleus", role="class"),
            Output(name="border", role="boundary"),
            Output(name="distance", role="distance"),
        ),
        tile_sides=(64, 128),
        halo=16,
        divisor=4,
        training_data=TrainingData(name="made up", licence="CC0-1.0", source="tests", images=1, objects=1),
    )


@pytest.fixture(scope="session")
def make_float_graph() -> Callable[..., onnx.ModelProto]:
    """Build a float model with channels first from nodes that lead from ``x`` to ``y``."""

    def make(
        nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], *, channels: int, outputs: int
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("a", channels, "b", "c"))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("a", outputs, "b", "c"))],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    return make


@pytest.fixture(scope="session")
def keras() -> SimpleNamespace:
    """Keras, imported once and only by the tests that need it."""
    return pytest.importorskip("keras")


@pytest.fixture(scope="session")
def toy_network(keras):
    """A U-Net like the trainer's with normalisation that has learned something; base width 4, halved twice."""
    layers, ops = keras.layers, keras.ops
    keras.utils.set_random_seed(0)

    def convolve_twice(features, width):
        for _ in range(2):
            features = layers.Conv2D(width, 3, padding="same", use_bias=False)(features)
            features = layers.ReLU()(layers.BatchNormalization()(features))
        return features

    image = keras.Input((None, None, 3))
    features, skips = layers.Rescaling(1 / 255)(image), []
    for width in (4, 8):
        features = convolve_twice(features, width)
        skips.append(features)
        features = layers.MaxPooling2D()(features)
    features = convolve_twice(features, 16)
    for width in (8, 4):
        features = ops.depth_to_space(layers.Conv2D(4 * width, 1)(features), 2)
        features = convolve_twice(layers.Concatenate()([skips.pop(), features]), width)
    scores, distance = ops.split(layers.Conv2D(4, 1)(features), [3], axis=-1)
    _, classes = ops.split(layers.Softmax()(scores), [1], axis=-1)
    network = keras.Model(image, layers.Concatenate()([classes, layers.Activation("sigmoid")(distance)]))
    randomize_normalization(network)
    return network


def randomize_normalization(network) -> None:
    """Untrained normalisation does nothing and would hide a mistake in folding it."""
    random = np.random.default_rng(0)
    for layer in network.layers:
        if layer.__class__.__name__ == "BatchNormalization":
            shape = layer.get_weights()[0].shape
            scale, variance = random.uniform(0.5, 2.0, (2, *shape))
            layer.set_weights([scale, *random.normal(0.0, 0.3, (2, *shape)), variance])
        elif hasattr(layer, "layers"):
            randomize_normalization(layer)
