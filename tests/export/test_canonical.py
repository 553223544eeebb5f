"""Names and order depend on the network alone."""

import itertools

import numpy as np
import onnx
from onnx import helper

from monolayer_export.canonical import canonicalize, to_bytes


def two_branches(make_float_graph, prefix: str, *, swapped: bool) -> onnx.ModelProto:
    """One network under other names, its branches in either order, its equal constants stored once or twice."""
    left = helper.make_node("Mul", ["x", f"{prefix}two"], [f"{prefix}left"], name=f"{prefix}1")
    right = helper.make_node("Add", ["x", f"{prefix}two"], [f"{prefix}right"], name=f"{prefix}2")
    join = helper.make_node("Concat", [f"{prefix}left", f"{prefix}right"], ["y"], axis=1, name=f"{prefix}3")
    unused = helper.make_node("Relu", ["x"], [f"{prefix}unused"], name=f"{prefix}4")
    constants = {f"{prefix}two": np.float32(2)}
    if swapped:
        right.input[1] = f"{prefix}also_two"
        constants = {f"{prefix}also_two": np.float32(2), **constants}
    branches = [right, unused, left] if swapped else [left, right]
    return make_float_graph([*branches, join], constants, channels=1, outputs=2)


def test_the_same_network_under_other_names_and_in_another_order_gives_the_same_bytes(make_float_graph) -> None:
    models = [
        two_branches(make_float_graph, "a", swapped=False),
        two_branches(make_float_graph, "zz", swapped=True),
    ]
    for model in models:
        canonicalize(model.graph)

    first, second = (to_bytes(model) for model in models)

    assert first == second
    assert [node.name for node in models[0].graph.node] == ["mul_0", "add_0", "concat_0"]
    assert [tensor.name for tensor in models[0].graph.initializer] == ["constant_0"]


def test_an_input_that_is_left_out_stays_left_out(make_float_graph) -> None:
    node = helper.make_node("Clip", ["x", "", "highest"], ["y"])
    model = make_float_graph([node], {"highest": np.float32(6)}, channels=1, outputs=1)

    canonicalize(model.graph)

    assert list(model.graph.node[0].input) == ["x", "", "constant_0"]
    onnx.checker.check_model(model, full_check=True)


def test_a_network_deeper_than_pythons_call_stack_is_ordered(make_float_graph) -> None:
    depth = 3000
    names = ["x", *(f"t{index}" for index in range(depth - 1)), "y"]
    nodes = [helper.make_node("Relu", [source], [result]) for source, result in itertools.pairwise(names)]
    model = make_float_graph(nodes[::-1], {}, channels=1, outputs=1)

    canonicalize(model.graph)

    assert [node.name for node in model.graph.node] == [f"relu_{index}" for index in range(depth)]
