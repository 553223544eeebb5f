"""One network, one file: names and order that depend on the network alone, so that exporting twice gives equal bytes.

Keras numbers its layers over the life of the process and tf2onnx adds counters of its own; either would change the
SHA-256 of the file though the network is the same.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator

import onnx
from onnx import numpy_helper

from monolayer_export.layout import replace_nodes


def canonicalize(graph: onnx.GraphProto) -> None:
    """Order and name nodes and tensors by the structure of the graph, and drop what no output depends on.

    A node stands right behind the nodes it reads from, in the order in which a walk from the output meets them. It is
    called by its operator and a running number, for example ``conv_3``, and so is its result. Equal constants are
    stored once, in the order of their first use. Inputs and outputs of the graph keep their names.
    """
    nodes = list(_inputs_first(graph))
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept: dict[str, onnx.TensorProto] = {}
    numbers: Counter[str] = Counter()
    for node in nodes:
        operator = node.op_type.lower()
        node.name, node.doc_string = f"{operator}_{numbers[operator]}", ""
        numbers[operator] += 1
        for index, name in enumerate(node.input):
            # An empty name stands for an optional input that is not given.
            node.input[index] = _keep_once(constants[name], kept) if name in constants else names.get(name, "")
        for index, name in enumerate(node.output):
            own = node.name if len(node.output) == 1 else f"{node.name}_{index}"
            node.output[index] = names.setdefault(name, own)
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)

    replace_nodes(graph, nodes)
    del graph.initializer[:]
    graph.initializer.extend(kept.values())
    del graph.value_info[:]  # notes on shapes under the former names


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Serialise a model: equal models give equal bytes."""
    return bytes(model.SerializeToString(deterministic=True))


def _inputs_first(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes that the outputs depend on, each behind the nodes it reads from."""
    producers = {name: node for node in graph.node for name in node.output}
    done: set[str] = set()
    # A stack instead of recursion: a deep network has more nodes in a row than Python allows calls.
    stack = [(value.name, False) for value in reversed(graph.output)]
    while stack:
        name, inputs_done = stack.pop()
        node = producers.get(name)
        if node is None or node.output[0] in done:
            continue
        if inputs_done:
            done.add(node.output[0])
            yield node
        else:
            stack.append((name, True))
            stack.extend((source, False) for source in reversed(node.input))


def _keep_once(tensor: onnx.TensorProto, kept: dict[str, onnx.TensorProto]) -> str:
    array = numpy_helper.to_array(tensor)
    key = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
    if key not in kept:
        kept[key] = numpy_helper.from_array(array, f"constant_{len(kept)}")
    return kept[key].name
