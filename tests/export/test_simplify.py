"""Rewrites of the graph: the numbers stay, the operators go."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from monolayer_export.simplify import simplify

RANDOM = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": image})[0]


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


CONVOLUTIONS = {
    "plain": ("Conv", weights(6, 4, 3, 3), {"pads": [1, 1, 1, 1]}),
    "depthwise": ("Conv", weights(6, 1, 3, 3), {"pads": [1, 1, 1, 1], "group": 6}),
    "transposed": ("ConvTranspose", weights(4, 6, 2, 2), {"strides": [2, 2]}),
    "transposed in two groups": ("ConvTranspose", weights(4, 3, 2, 2), {"strides": [2, 2], "group": 2}),
}


@pytest.mark.parametrize("bias", [True, False], ids=["with bias", "without bias"])
@pytest.mark.parametrize(("operator", "kernel", "attributes"), CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_scale_and_shift_behind_a_convolution_are_folded_into_it(
    make_float_graph, operator, kernel, attributes, bias
) -> None:
    channels = 6 if attributes.get("group") == 6 else 4
    constants = {"w": kernel, "b": weights(6), "scale": weights(1, 6, 1, 1), "shift": weights(6, 1, 1)}
    nodes = [
        helper.make_node(operator, ["x", "w", "b"] if bias else ["x", "w"], ["c"], **attributes),
        helper.make_node("Mul", ["scale", "c"], ["m"]),
        helper.make_node("Add", ["m", "shift"], ["y"]),
    ]
    model = make_float_graph(nodes, constants, channels=channels, outputs=6)
    image = weights(2, channels, 5, 7)
    expected = run(model, image)

    simplify(model)

    assert operators(model) == [operator]
    np.testing.assert_allclose(run(model, image), expected, rtol=1e-4, atol=1e-5)


def test_a_factor_stays_where_the_unscaled_result_is_needed_too(make_float_graph) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "scale"], ["m"]),
        helper.make_node("Add", ["m", "c"], ["y"]),
    ]
    model = make_float_graph(nodes, {"w": weights(2, 2, 1, 1), "scale": weights(1, 2, 1, 1)}, channels=2, outputs=2)

    simplify(model)

    assert operators(model) == ["Conv", "Mul", "Add"]


def test_a_factor_that_varies_over_the_image_stays(make_float_graph) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Mul", ["c", "scale"], ["y"])]
    model = make_float_graph(nodes, {"w": weights(2, 2, 1, 1), "scale": weights(1, 2, 3, 1)}, channels=2, outputs=2)

    simplify(model)

    assert operators(model) == ["Conv", "Mul"]


def test_softmax_over_channels_is_spelled_out_and_stays_finite_for_large_scores(make_float_graph) -> None:
    model = make_float_graph([helper.make_node("Softmax", ["x"], ["y"], axis=1)], {}, channels=3, outputs=3)
    scores = np.array([0.0, 1000.0, 1000.0], np.float32).reshape(1, 3, 1, 1)

    simplify(model)

    assert operators(model) == ["ReduceMax", "Sub", "Exp", "ReduceSum", "Div"]
    np.testing.assert_array_equal(run(model, scores).ravel(), [0.0, 0.5, 0.5])
