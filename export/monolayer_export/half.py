"""The network in half precision, for GPUs: float16 from the first operator to the last convolution.

Written with ONNX's own tools. Images and probabilities stay uint8, and so does the float32 of what follows the last
convolution: 255 times a probability needs more digits than float16 has.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from monolayer_core.model_card import ModelCard
from monolayer_export.canonical import canonicalize
from monolayer_export.errors import ExportError
from monolayer_export.graph import check_graph, describe
from monolayer_export.layout import replace_nodes
from monolayer_export.sections import divide

LARGEST = float(np.finfo(np.float16).max)


def halve_network(model: onnx.ModelProto, card: ModelCard) -> onnx.ModelProto:
    """Make the half-precision network of a bundle's float32 one, which is left as it is.

    Raises
    ------
    ExportError
        A weight is too large for float16.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    in_float = set(divide(graph).tail)
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    halved: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    restored: dict[str, str] = {}
    computed: set[str] = set()
    for node in graph.node:
        if node.name in in_float:
            for index, name in enumerate(node.input):
                if name in computed and name not in restored:
                    restored[name] = f"{name}_float"
                    nodes.append(helper.make_node("Cast", [name], [restored[name]], to=TensorProto.FLOAT))
                node.input[index] = restored.get(name, name)
        else:
            for index, name in enumerate(node.input):
                if name in constants and name not in halved:
                    halved[name] = f"{name}_half"
                    graph.initializer.append(_halve(constants[name], halved[name]))
                node.input[index] = halved.get(name, name)
            if _is_float(node, computed, halved):
                computed.update(node.output)
        nodes.append(node)
    replace_nodes(graph, nodes)
    canonicalize(graph)
    describe(half, card, precision="float16")
    check_graph(half)
    return half


def _is_float(node: onnx.NodeProto, computed: set[str], halved: dict[str, str]) -> bool:
    """Whether a node gives float numbers; a cast to float32 becomes one to float16."""
    if node.op_type == "Cast":
        target = next(attribute for attribute in node.attribute if attribute.name == "to")
        if target.i == TensorProto.FLOAT:
            target.i = TensorProto.FLOAT16
        return bool(target.i == TensorProto.FLOAT16)
    return any(name in computed or name in halved.values() for name in node.input)


def _halve(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    array = numpy_helper.to_array(tensor)
    if array.size and np.abs(array).max() > LARGEST:
        raise ExportError(f"a weight of {np.abs(array).max():.3g} is too large for half precision")
    return numpy_helper.from_array(array.astype(np.float16), name)
