"""The network in eight bits."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from monolayer_core.model_card import ModelCard
from monolayer_export.canonical import to_bytes
from monolayer_export.errors import ExportError
from monolayer_export.graph import add_uint8_rim, count_operators
from monolayer_export.quantize import quantize_network
from monolayer_export.session import onnx_predict


@pytest.fixture(scope="module")
def tiles() -> list[np.ndarray]:
    return list(np.random.default_rng(3).integers(0, 256, (6, 64, 64, 3), np.uint8))


@pytest.fixture(scope="module")
def model(float_bundle: Path) -> onnx.ModelProto:
    return onnx.load(float_bundle / "model.onnx")


@pytest.fixture(scope="module")
def quantized(model: onnx.ModelProto, toy_card: ModelCard, tiles) -> onnx.ModelProto:
    return quantize_network(model, toy_card, tiles)


def test_it_answers_nearly_as_the_float_network_does(model, quantized, tiles) -> None:
    batch = np.stack(tiles[:2])

    expected = onnx_predict(to_bytes(model))(batch).astype(int)
    difference = np.abs(onnx_predict(to_bytes(quantized))(batch) - expected)

    assert expected.std() > 10  # an answer that is the same everywhere would prove nothing
    assert difference.mean() < 2
    assert difference.max() < 20


def test_images_and_probabilities_stay_uint8_of_any_size(quantized) -> None:
    for port, name in ((quantized.graph.input[0], "image"), (quantized.graph.output[0], "probabilities")):
        assert port.name == name
        assert port.type.tensor_type.elem_type == TensorProto.UINT8
        assert [size.dim_param for size in port.type.tensor_type.shape.dim][:3] == ["n", "height", "width"]
    assert onnx_predict(to_bytes(quantized))(np.zeros((2, 36, 52, 3), np.uint8)).shape == (2, 36, 52, 3)


def test_the_last_convolution_and_what_follows_stay_float(quantized) -> None:
    producers = {name: node for node in quantized.graph.node for name in node.output}
    convolutions = [node for node in quantized.graph.node if node.op_type == "Conv"]
    constants = {tensor.name for tensor in quantized.graph.initializer}

    assert [node.input[1] in constants for node in convolutions] == [False, False, True]
    assert producers[convolutions[0].input[1]].op_type == "DequantizeLinear"
    assert count_operators(quantized)["Sigmoid"] == 1


def test_weights_take_seven_bits_so_that_no_processor_runs_over(quantized) -> None:
    weights = [numpy_helper.to_array(t) for t in quantized.graph.initializer if t.data_type == TensorProto.INT8]
    kernels = [array for array in weights if array.ndim == 4]

    assert len(kernels) == 2
    assert [int(np.abs(array.astype(int)).max()) for array in kernels] == [64, 64]
    # Each output channel has its own scale and uses the whole range.
    assert all((np.abs(array.astype(int)).max(axis=(1, 2, 3)) >= 63).all() for array in kernels)


def test_the_file_says_what_it_is(quantized) -> None:
    facts = {entry.key: entry.value for entry in quantized.metadata_props}

    assert (facts["name"], facts["precision"]) == ("toy", "int8")
    assert [(entry.domain, entry.version) for entry in quantized.opset_import] == [("", 18)]


def test_the_same_network_and_tiles_give_the_same_bytes(model, quantized, toy_card: ModelCard, tiles) -> None:
    before = to_bytes(model)

    assert to_bytes(quantize_network(model, toy_card, tiles)) == to_bytes(quantized)
    assert to_bytes(model) == before


def test_a_network_without_a_convolution_to_quantise_is_refused(make_float_graph, toy_card: ModelCard, tiles) -> None:
    model = make_float_graph([helper.make_node("Sigmoid", ["x"], ["y"])], {}, channels=3, outputs=3)
    add_uint8_rim(model, toy_card)

    with pytest.raises(ExportError, match="nothing to quantise"):
        quantize_network(model, toy_card, tiles)
