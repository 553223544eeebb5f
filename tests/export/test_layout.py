"""Transpositions between operators that could do without go."""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from monolayer_export.canonical import canonicalize
from monolayer_export.layout import TO_FIRST, TO_LAST, keep_channels_first

SIZES = np.array([1, 2], np.int64)


def transpose(source: str, result: str, order: tuple[int, ...]) -> onnx.NodeProto:
    return helper.make_node("Transpose", [source], [result], perm=order)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def turned(model: onnx.ModelProto, image: np.ndarray) -> list[str]:
    """Operators after the rewrite, which must not change the answer."""
    expected = run(model, image)
    keep_channels_first(model.graph)
    canonicalize(model.graph)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, image), expected, rtol=1e-6)
    return [node.op_type for node in model.graph.node]


IMAGE = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


def test_the_heads_of_a_network_work_with_channels_first(make_float_graph) -> None:
    nodes = [
        transpose("x", "last", TO_LAST),
        helper.make_node("Split", ["last", "sizes"], ["one", "two"], axis=-1),
        helper.make_node("Softmax", ["two"], ["classes"]),
        helper.make_node("Sigmoid", ["one"], ["distance"]),
        helper.make_node("Concat", ["classes", "distance"], ["answer"], axis=3),
        transpose("answer", "y", TO_FIRST),
    ]
    model = make_float_graph(nodes, {"sizes": SIZES}, channels=3, outputs=3)

    assert turned(model, IMAGE) == ["Split", "Softmax", "Sigmoid", "Concat"]


def test_an_operator_along_the_height_keeps_to_the_height(make_float_graph) -> None:
    nodes = [
        transpose("x", "last", TO_LAST),
        helper.make_node("Softmax", ["last"], ["answer"], axis=1),
        transpose("answer", "y", TO_FIRST),
    ]
    model = make_float_graph(nodes, {}, channels=3, outputs=3)

    assert turned(model, IMAGE) == ["Softmax"]
    assert helper.get_node_attr_value(model.graph.node[0], "axis") == 2


def test_an_operator_that_needs_channels_last_still_gets_them(make_float_graph) -> None:
    nodes = [
        transpose("x", "last", TO_LAST),
        helper.make_node("Relu", ["last"], ["positive"]),
        helper.make_node("Mul", ["positive", "per_channel"], ["scaled"]),
        transpose("scaled", "y", TO_FIRST),
    ]
    constants = {"per_channel": np.array([1, 2, 3], np.float32)}
    model = make_float_graph(nodes, constants, channels=3, outputs=3)

    assert turned(model, IMAGE) == ["Relu", "Transpose", "Mul", "Transpose"]


def test_a_graph_without_transpositions_stays(make_float_graph) -> None:
    model = make_float_graph([helper.make_node("Relu", ["x"], ["y"])], {}, channels=3, outputs=3)

    assert turned(model, IMAGE) == ["Relu"]
