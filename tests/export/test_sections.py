"""Where each operator of a network stands."""

import onnx
from onnx import helper

from monolayer_export.sections import divide, name_nodes


def graph_of(*steps: tuple[str, list[str], str]) -> onnx.GraphProto:
    nodes = [helper.make_node(operator, inputs, [output], name=output) for operator, inputs, output in steps]
    return helper.make_graph(nodes, "graph", [], [])


def test_every_operator_is_in_the_section_its_place_says() -> None:
    graph = graph_of(
        ("Cast", ["image"], "cast"),
        ("Conv", ["cast"], "first"),
        ("Relu", ["first"], "relu"),
        ("Concat", ["relu", "cast"], "joined"),
        ("Conv", ["joined"], "classes"),
        ("Conv", ["relu"], "distance"),
        ("Sigmoid", ["classes"], "sigmoid"),
        ("Mul", ["cast"], "aside"),
        ("Concat", ["sigmoid", "distance", "aside"], "probabilities"),
    )

    sections = divide(graph)

    assert sections.head == ("cast",)
    assert sections.body == ("first", "relu", "joined")
    assert sections.last == ("classes", "distance")
    assert sections.tail == ("sigmoid", "aside", "probabilities")


def test_a_single_convolution_is_the_last_one() -> None:
    sections = divide(graph_of(("Mul", ["image"], "scaled"), ("Conv", ["scaled"], "only"), ("Relu", ["only"], "relu")))

    assert (sections.head, sections.body, sections.last, sections.tail) == (("scaled",), (), ("only",), ("relu",))


def test_nodes_that_share_a_name_or_have_none_get_their_own() -> None:
    graph = graph_of(("Relu", ["a"], "b"), ("Conv", ["b"], "c"), ("Relu", ["c"], "d"))
    graph.node[0].name = graph.node[2].name = "twice"
    graph.node[1].name = ""

    name_nodes(graph)

    assert [node.name for node in graph.node] == ["relu_0", "conv_1", "relu_2"]


def test_names_that_differ_stay() -> None:
    graph = graph_of(("Relu", ["a"], "b"), ("Relu", ["b"], "c"))

    name_nodes(graph)

    assert [node.name for node in graph.node] == ["b", "c"]
