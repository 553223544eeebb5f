"""The rim of the graph: uint8 in, uint8 out."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from monolayer_core.model_card import ModelCard
from monolayer_export.errors import ExportError
from monolayer_export.graph import add_uint8_rim, check_graph, count_operators, describe, expose_float_output
from monolayer_export.session import onnx_predict, open_session


@pytest.fixture
def thirds(make_float_graph: Callable[..., onnx.ModelProto], toy_card: ModelCard) -> onnx.ModelProto:
    """Network that gives red, green and blue as fractions of 255."""
    model = make_float_graph(
        [helper.make_node("Div", ["x", "full"], ["y"])], {"full": np.float32(255)}, channels=3, outputs=3
    )
    add_uint8_rim(model, toy_card)
    describe(model, toy_card)
    return model


def shape(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def test_every_level_comes_back_in_its_place(thirds) -> None:
    image = np.arange(256 * 3, dtype=np.int64).reshape(1, 16, 16, 3).astype(np.uint8)

    answer = onnx_predict(thirds.SerializeToString())(image)

    np.testing.assert_array_equal(answer, image)


def test_probabilities_are_rounded_with_halves_up(make_float_graph, toy_card) -> None:
    # 128 halves of a level, times 1/255: exactly between 64 and 65 where x is 129.
    model = make_float_graph(
        [helper.make_node("Mul", ["x", "half"], ["h"]), helper.make_node("Div", ["h", "full"], ["y"])],
        {"half": np.float32(0.5), "full": np.float32(255)},
        channels=3,
        outputs=3,
    )
    add_uint8_rim(model, toy_card)
    describe(model, toy_card)
    image = np.array([128, 129, 255], np.uint8).reshape(1, 1, 1, 3)

    answer = onnx_predict(model.SerializeToString())(image)

    assert answer.ravel().tolist() == [64, 65, 128]


def test_sizes_are_symbolic_and_can_be_fixed_when_the_session_opens(thirds) -> None:
    assert shape(thirds.graph.input[0]) == ["n", "height", "width", 3]
    assert shape(thirds.graph.output[0]) == ["n", "height", "width", 3]
    assert open_session(thirds.SerializeToString(), side=64).get_inputs()[0].shape == ["n", 64, 64, 3]


def test_a_network_of_one_size_says_so(make_float_graph, toy_card) -> None:
    card = toy_card.model_copy(update={"dynamic_size": False, "tile_sides": (128,)})
    model = make_float_graph([helper.make_node("Sigmoid", ["x"], ["y"])], {}, channels=3, outputs=3)

    add_uint8_rim(model, card)

    assert shape(model.graph.input[0]) == ["n", 128, 128, 3]


def test_the_rim_costs_two_transpositions_of_bytes(thirds) -> None:
    assert count_operators(thirds) == {"Transpose": 2, "Cast": 2, "Div": 1, "Mul": 1, "Add": 1}


def test_the_file_says_what_it_is(thirds) -> None:
    facts = {entry.key: entry.value for entry in thirds.metadata_props}

    assert facts == {
        "name": "toy",
        "version": "0.1.0",
        "task": "instances",
        "channels": "rgb",
        "outputs": "nucleus,border,distance",
        "licence": "CC0-1.0",
        "training_data": "made up",
    }


def test_probabilities_before_rounding_can_be_seen_without_changing_the_model(thirds) -> None:
    before = thirds.SerializeToString()
    image = np.full((1, 2, 2, 3), 51, np.uint8)

    exposed = open_session(expose_float_output(thirds).SerializeToString())
    levels, floats = exposed.run(None, {"image": image})

    assert thirds.SerializeToString() == before
    assert levels[0, 0, 0].tolist() == [51, 51, 51]
    np.testing.assert_allclose(floats, np.full((1, 3, 2, 2), 0.2), rtol=1e-6)


def test_a_malformed_graph_is_refused(thirds) -> None:
    thirds.graph.node[0].input[0] = "nowhere"

    with pytest.raises(ExportError, match="malformed"):
        check_graph(thirds)
