"""Rewrites that leave the result alone and make the graph smaller or faster."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from monolayer_export.layout import keep_channels_first, replace_nodes

Constants = dict[str, npt.NDArray[Any]]
"""Values of the initializers by name."""

CONVOLUTIONS = ("Conv", "ConvTranspose")


def simplify(model: onnx.ModelProto) -> None:
    """Apply every rewrite there is to a model whose input and output have channels first."""
    keep_channels_first(model.graph)
    fold_scales(model.graph)
    spell_out_softmax(model.graph)


def fold_scales(graph: onnx.GraphProto) -> None:
    """Fold what is left of batch normalisation into the convolution before it.

    tf2onnx folds it into plain convolutions only; behind a depthwise or transposed one a factor and a summand per
    channel remain as Mul and Add. Both are linear: ``(W x + b) * s + t`` is ``(W s) x + (b s + t)``.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    convolutions: dict[str, onnx.NodeProto] = {}
    for node in list(graph.node):
        if node.op_type in CONVOLUTIONS and node.input[1] in constants:
            convolutions[node.output[0]] = node
        elif node.op_type in ("Mul", "Add"):
            source, constant = _tensor_and_constant(node, constants)
            convolution = convolutions.get(source)
            if convolution is None or constant is None or readers[source] > 1:
                continue
            if _fold(graph, convolution, node, constant, constants):
                convolutions[node.output[0]] = convolution


def _tensor_and_constant(node: onnx.NodeProto, constants: Constants) -> tuple[str, npt.NDArray[Any] | None]:
    left, right = node.input
    return (right, constants[left]) if left in constants else (left, constants.get(right))


def _fold(
    graph: onnx.GraphProto,
    convolution: onnx.NodeProto,
    follower: onnx.NodeProto,
    constant: npt.NDArray[Any],
    constants: Constants,
) -> bool:
    """Move the constant of `follower` into `convolution` and remove it; False where it is not one value per channel."""
    weights = constants[convolution.input[1]]
    groups = _groups(convolution)
    channels = weights.shape[0] if convolution.op_type == "Conv" else weights.shape[1] * groups
    if constant.shape not in ((1, channels, 1, 1), (channels, 1, 1)):
        return False
    constant = constant.reshape(channels)
    bias = constants[convolution.input[2]] if len(convolution.input) > 2 else np.zeros(channels, np.float32)
    if follower.op_type == "Add":
        bias = bias + constant
    else:
        bias = bias * constant
        weights = weights * _factors(constant, convolution.op_type, groups, weights.shape[0])

    result = follower.output[0]
    convolution.input[1:] = [f"{result}_weights", f"{result}_bias"]
    for name, array in zip(convolution.input[1:], (weights, bias), strict=True):
        constants[name] = array
        graph.initializer.append(numpy_helper.from_array(array, name))
    convolution.output[0] = result
    graph.node.remove(follower)
    return True


def _factors(constant: npt.NDArray[Any], op_type: str, groups: int, rows: int) -> npt.NDArray[Any]:
    """One factor per output channel in the shape of the weights.

    Conv has weights (output, input in group, y, x), ConvTranspose (input, output in group, y, x), where the inputs of
    one group reach the outputs of that group alone.
    """
    if op_type == "Conv":
        return constant[:, None, None, None]
    return np.repeat(constant.reshape(groups, -1), rows // groups, axis=0)[:, :, None, None]


def _groups(convolution: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in convolution.attribute if attribute.name == "group"), 1)


def _axis(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)


def spell_out_softmax(graph: onnx.GraphProto) -> None:
    """Write a softmax over channels as exp(x - max) divided by its sum.

    onnxruntime computes Softmax over an inner axis by transposing to and fro: 1.8 ms for three channels of 256x256
    pixels on one core against 0.3 ms for the five plain operators, 7 % of the time of a U-Net of base width 16.
    """
    nodes = []
    for node in graph.node:
        if node.op_type == "Softmax" and _axis(node) == 1:
            source, result = node.input[0], node.output[0]
            axes = f"{result}_axes"
            graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), axes))
            nodes += [
                helper.make_node("ReduceMax", [source, axes], [f"{result}_max"], keepdims=1),
                helper.make_node("Sub", [source, f"{result}_max"], [f"{result}_shifted"]),
                helper.make_node("Exp", [f"{result}_shifted"], [f"{result}_exp"]),
                helper.make_node("ReduceSum", [f"{result}_exp", axes], [f"{result}_sum"], keepdims=1),
                helper.make_node("Div", [f"{result}_exp", f"{result}_sum"], [result]),
            ]
        else:
            nodes.append(node)
    replace_nodes(graph, nodes)
