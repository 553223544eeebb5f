"""Which part of a network may compute in fewer bits: the convolutions, and what stands between them.

What follows the last convolution (softmax, sigmoid and the rounding to uint8) costs next to nothing and decides on
every threshold, so it always stays in float32.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from monolayer_export.simplify import CONVOLUTIONS


@dataclass(frozen=True)
class Sections:
    """Names of the nodes of a graph, by where they stand; every node is in one of the four.

    Attributes
    ----------
    head
        Before every convolution: the uint8 image becomes a float one.
    body
        The convolutions that others follow, and everything between them.
    last
        The convolutions that none follows.
    tail
        Behind the last convolutions, or beside all of them.
    """

    head: tuple[str, ...]
    body: tuple[str, ...]
    last: tuple[str, ...]
    tail: tuple[str, ...]


def divide(graph: onnx.GraphProto) -> Sections:
    """Tell where each node stands; the nodes must be in an order in which they can be computed."""
    name_nodes(graph)
    behind = _reached(graph.node)
    before = _reached(reversed(graph.node), upwards=True)
    found: dict[str, list[str]] = {"head": [], "body": [], "last": [], "tail": []}
    for node in graph.node:
        is_convolution = node.op_type in CONVOLUTIONS
        if node.name in before:
            section = "body" if is_convolution or node.name in behind else "head"
        else:
            section = "last" if is_convolution else "tail"
        found[section].append(node.name)
    return Sections(**{section: tuple(names) for section, names in found.items()})


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node of a graph a name of its own, where some have none or share one."""
    if len({node.name for node in graph.node if node.name}) < len(graph.node):
        for number, node in enumerate(graph.node):
            node.name = f"{node.op_type.lower()}_{number}"


def _reached(nodes: Iterable[onnx.NodeProto], *, upwards: bool = False) -> set[str]:
    """Names of the nodes that a convolution leads to, or from which a way leads `upwards` to one."""
    tensors: set[str] = set()
    names: set[str] = set()
    for node in nodes:
        entries, exits = (node.output, node.input) if upwards else (node.input, node.output)
        is_reached = any(name in tensors for name in entries)
        if is_reached:
            names.add(node.name)
        if is_reached or node.op_type in CONVOLUTIONS:
            tensors.update(exits)
    return names
