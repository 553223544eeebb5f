"""What passes for the same network and what does not."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from monolayer_core.arrays import TileBatch
from monolayer_core.model_card import ModelCard
from monolayer_export.errors import ParityError
from monolayer_export.graph import add_uint8_rim, describe
from monolayer_export.parity import ParityCase, ParityResult, check_parity, compare, parity_cases, quantize


@pytest.fixture
def model(make_float_graph: Callable[..., onnx.ModelProto], toy_card: ModelCard) -> onnx.ModelProto:
    """Network that gives red, green and blue as fractions of 255."""
    nodes = [helper.make_node("Div", ["x", "full"], ["y"])]
    model = make_float_graph(nodes, {"full": np.float32(255)}, channels=3, outputs=3)
    add_uint8_rim(model, toy_card)
    describe(model, toy_card)
    return model


def fractions(tiles: TileBatch) -> np.ndarray:
    return tiles.astype(np.float32) / 255


def case(toy_card: ModelCard) -> ParityCase:
    return next(iter(parity_cases(toy_card, [np.full((70, 90, 3), 100, np.uint8)])))


def test_the_same_network_has_no_difference(model, toy_card) -> None:
    result = compare(model, fractions, case(toy_card))

    check_parity([result])
    assert result == ParityResult("1 x 64 x 64, images", 0.0, 0, 0, 64 * 64 * 3)


def test_a_difference_too_small_for_uint8_is_seen_and_refused(model, toy_card) -> None:
    result = compare(model, lambda tiles: fractions(tiles) + np.float32(2e-4), case(toy_card))

    assert result.float_difference == pytest.approx(2e-4, rel=1e-3)
    assert result.differing == 0
    with pytest.raises(ParityError, match=r"differ by 0\.0002 in a probability"):
        check_parity([result])


def test_outputs_in_another_order_are_refused(model, toy_card) -> None:
    coloured = ParityCase("colours", np.tile(np.array([10, 20, 30], np.uint8), (1, 4, 4, 1)))

    with pytest.raises(ParityError):
        check_parity([compare(model, lambda tiles: fractions(tiles)[..., ::-1], coloured)])


REFUSED = {
    "not a number": ParityResult("a", float("nan"), 0, 0, 1000),
    "two levels": ParityResult("a", 1e-6, 2, 1, 1000),
    "too many values one level apart": ParityResult("a", 1e-6, 1, 2, 1000),
}


@pytest.mark.parametrize("result", REFUSED.values(), ids=REFUSED.keys())
def test_out_of_tolerance(result: ParityResult) -> None:
    with pytest.raises(ParityError):
        check_parity([result])


def test_rare_values_one_level_apart_are_rounding() -> None:
    # One of 48 values is much for a small case, but few over all.
    check_parity([ParityResult("small", 1e-6, 1, 1, 48), ParityResult("large", 1e-6, 0, 0, 100_000)])


def test_cases_cover_batches_odd_sizes_and_extremes(toy_card) -> None:
    cases = list(parity_cases(toy_card, [np.full((300, 90, 3), 100, np.uint8)]))

    assert [case.tiles.shape for case in cases] == [
        (1, 64, 64, 3),
        (2, 64, 64, 3),
        (5, 64, 64, 3),
        (2, 64, 64, 3),
        (1, 4, 4, 3),
        (2, 12, 20, 3),
        (5, 28, 8, 3),
    ]
    assert {case.side for case in cases} == {64, None}


def test_a_network_of_one_size_is_tried_at_that_size_alone(toy_card) -> None:
    card = toy_card.model_copy(update={"dynamic_size": False, "tile_sides": (128,)})

    assert {case.tiles.shape[1:3] for case in parity_cases(card, [np.zeros((9, 9, 3), np.uint8)])} == {(128, 128)}


def test_halves_are_rounded_up() -> None:
    assert quantize(np.array([0.0, 0.1 / 255, 0.5, 1.0], np.float32)).tolist() == [0, 0, 128, 255]
