"""Small networks for the export: plain ONNX ones made by hand, and a Keras U-Net as the trainer builds it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from monolayer_core.image_io import encode_png
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_export.bundle import write_bundle
from monolayer_export.canonical import canonicalize, to_bytes
from monolayer_export.graph import add_uint8_rim, describe

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


@pytest.fixture(scope="session")
def float_bundle(make_float_graph, toy_card, tmp_path_factory) -> Path:
    """A bundle of three convolutions by hand: edges are found, mixed, and read as probabilities."""
    folder = tmp_path_factory.mktemp("float") / "toy"
    folder.mkdir()
    tiles = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), np.uint8)
    write_bundle(folder, toy_card, {"float32": three_convolutions(make_float_graph, toy_card)}, tiles)
    return folder


def three_convolutions(make_float_graph, card: ModelCard) -> bytes:
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)

    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"]),
        helper.make_node("Sigmoid", ["c2"], ["y"]),
    ]
    constants = {
        "scale": np.float32(1 / 255),
        "w0": weights(16, 3, 3, 3),
        "b0": np.zeros(16, np.float32),
        "w1": weights(16, 16, 3, 3),
        "b1": np.full(16, 0.1, np.float32),
        "w2": 4 * weights(3, 16, 1, 1),
        "b2": np.zeros(3, np.float32),
    }
    model = make_float_graph(nodes, constants, channels=3, outputs=3)
    canonicalize(model.graph)
    add_uint8_rim(model, card)
    describe(model, card)
    return to_bytes(model)


@pytest.fixture
def labelled_data(tmp_path: Path) -> Path:
    """A prepared data set: twelve images of two kinds with bright discs, the last two held out."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    random = np.random.default_rng(2)
    y, x = np.mgrid[:96, :96]
    samples, rows = [], ["ImageId,group,modality,split"]
    for number in range(12):
        kind = "rare" if number % 4 == 0 else "common"
        labels = np.zeros((96, 96), np.uint8)
        for label, (centre_y, centre_x) in enumerate(random.integers(12, 84, (4, 2)), start=1):
            labels[(y - centre_y) ** 2 + (x - centre_x) ** 2 <= 64] = label
        image = np.where(labels > 0, 180, 30) + random.integers(-20, 20, labels.shape)
        name = f"image{number:02}"
        (folder / "images" / f"{name}.png").write_bytes(encode_png(image.astype(np.uint8)))
        (folder / "labels" / f"{name}.png").write_bytes(encode_png(labels))
        sample = {"id": name, "image": f"images/{name}.png", "labels": f"labels/{name}.png", "modality": kind}
        samples.append(sample)
        rows.append(f"{name},g{number},{kind},{'validation' if number >= 10 else 'train'}")
    (folder / "dataset.json").write_text(json.dumps({"samples": samples}))
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
    return folder
