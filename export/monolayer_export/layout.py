"""Channels first from end to end: TensorFlow puts them last, ONNX convolutions want them first.

tf2onnx turns most operators round but not Split, so that between the last convolution and the answer float tensors are
transposed to and fro. A transposition is moved behind every operator that does not care, until it meets its inverse.
"""

import onnx
from onnx import helper

TO_FIRST = (0, 3, 1, 2)
"""Order of the axes of ``(n, y, x, channel)`` that makes it ``(n, channel, y, x)``."""

TO_LAST = (0, 2, 3, 1)
"""Order of the axes of ``(n, channel, y, x)`` that makes it ``(n, y, x, channel)``."""

ELEMENTWISE = ("Relu", "Sigmoid", "Tanh")

DEFAULT_AXIS = {"Concat": 0, "Softmax": -1, "Split": 0}
"""Operators that work along one axis, and which one where they do not say."""


def keep_channels_first(graph: onnx.GraphProto) -> None:
    """Let element-wise operators, Concat, Softmax and Split work with channels first where their inputs come so.

    Each tensor with channels last that is affected is still there, transposed from its new form, for whoever reads it;
    transpositions that nobody reads any more go when the graph is put in order.
    """
    first: dict[str, str] = {}  # names of tensors with channels last, and of the same tensors with channels first
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        order = _order(node)
        if order == TO_FIRST and node.input[0] in first:
            nodes.append(helper.make_node("Identity", [first[node.input[0]]], node.output))
            continue
        if order == TO_LAST:
            first[node.output[0]] = node.input[0]
        nodes.append(node)
        data = list(node.input[:1] if node.op_type == "Split" else node.input)
        if (node.op_type in ELEMENTWISE or node.op_type in DEFAULT_AXIS) and all(name in first for name in data):
            results = list(node.output)
            _turn_round(node, len(data), first)
            nodes += [
                helper.make_node("Transpose", [new], [old], perm=TO_LAST)
                for old, new in zip(results, node.output, strict=True)
            ]
            first.update(zip(results, node.output, strict=True))
    replace_nodes(graph, nodes)
    skip_identities(graph)


def skip_identities(graph: onnx.GraphProto) -> None:
    """Let readers of an Identity, the graph's outputs among them, read what it copies."""
    source = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}

    def original(name: str) -> str:
        while name in source:
            name = source[name]
        return name

    for node in graph.node:
        node.input[:] = [original(name) for name in node.input]
    for value in graph.output:
        value.name = original(value.name)


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Give the graph another list of nodes, which may hold some of its own."""
    fresh = onnx.GraphProto()
    fresh.node.extend(nodes)  # copies them: clearing the graph would empty its own
    del graph.node[:]
    graph.node.extend(fresh.node)


def _order(node: onnx.NodeProto) -> tuple[int, ...] | None:
    return tuple(helper.get_node_attr_value(node, "perm")) if node.op_type == "Transpose" else None


def _turn_round(node: onnx.NodeProto, data_count: int, first: dict[str, str]) -> None:
    """Make a node read and write channels first, under new names."""
    for index in range(data_count):
        node.input[index] = first[node.input[index]]
    node.output[:] = [f"{name}_channels_first" for name in node.output]
    if node.op_type in DEFAULT_AXIS:
        given = [attribute for attribute in node.attribute if attribute.name == "axis"]
        axis = given[0].i if given else DEFAULT_AXIS[node.op_type]
        for attribute in given:
            node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute("axis", TO_LAST[axis % 4]))
