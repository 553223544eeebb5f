"""The network in half precision."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from monolayer_core.model_card import ModelCard
from monolayer_export.canonical import to_bytes
from monolayer_export.errors import ExportError
from monolayer_export.half import halve_network
from monolayer_export.session import onnx_predict


@pytest.fixture(scope="module")
def model(float_bundle: Path) -> onnx.ModelProto:
    return onnx.load(float_bundle / "model.onnx")


@pytest.fixture(scope="module")
def half(model: onnx.ModelProto, toy_card: ModelCard) -> onnx.ModelProto:
    return halve_network(model, toy_card)


def test_it_is_valid_and_answers_as_the_float_network_does(model, half) -> None:
    onnx.checker.check_model(half, full_check=True)
    tiles = np.random.default_rng(4).integers(0, 256, (2, 64, 64, 3), np.uint8)

    expected = onnx_predict(to_bytes(model))(tiles).astype(int)
    difference = np.abs(onnx_predict(to_bytes(half))(tiles) - expected)

    assert expected.std() > 10
    assert difference.max() <= 1
    assert difference.mean() < 0.1


def test_every_weight_of_a_convolution_is_float16_and_what_follows_is_float32(half) -> None:
    constants = {tensor.name: tensor for tensor in half.graph.initializer}
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]

    assert len(convolutions) == 3
    for node in convolutions:
        assert [constants[name].data_type for name in node.input[1:]] == [TensorProto.FLOAT16] * 2
    sigmoid = next(node for node in half.graph.node if node.op_type == "Sigmoid")
    before = next(node for node in half.graph.node if sigmoid.input[0] in node.output)
    assert (before.op_type, before.attribute[0].i) == ("Cast", TensorProto.FLOAT)


def test_images_and_probabilities_stay_uint8(half) -> None:
    ports = (half.graph.input[0], half.graph.output[0])

    assert [(port.name, port.type.tensor_type.elem_type) for port in ports] == [
        ("image", TensorProto.UINT8),
        ("probabilities", TensorProto.UINT8),
    ]


def test_every_node_has_a_name_of_its_own(half) -> None:
    names = [node.name for node in half.graph.node]

    assert len(set(names)) == len(names)


def test_nodes_of_one_name_do_no_harm(model, half, toy_card: ModelCard) -> None:
    confused = onnx.ModelProto()
    confused.CopyFrom(model)
    for node in confused.graph.node:
        node.name = "same"

    assert to_bytes(halve_network(confused, toy_card)) == to_bytes(half)


def test_a_weight_that_float16_cannot_hold_is_refused(model, toy_card: ModelCard) -> None:
    large = onnx.ModelProto()
    large.CopyFrom(model)
    weights = next(tensor for tensor in large.graph.initializer if len(tensor.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) + 7e4, weights.name))

    with pytest.raises(ExportError, match=r"7e\+04 is too large for half precision"):
        halve_network(large, toy_card)
