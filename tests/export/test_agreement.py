"""How files of lower precision compare with float32, and when int8 becomes the default."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from monolayer_core.model_card import Agreement, ModelCard, Thresholds
from monolayer_export.agreement import is_good_enough, measure_agreement, measure_speedup
from monolayer_export.canonical import to_bytes
from monolayer_export.prepared import Example


def shifted(content: bytes, by: float) -> bytes:
    """The network with a constant added before the sigmoid of every output."""
    model = onnx.load_from_string(content)
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == last.input[2])
    own = numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(by), "own_bias")
    model.graph.initializer.append(own)
    last.input[2] = "own_bias"
    return to_bytes(model)


@pytest.fixture
def content(float_bundle: Path) -> bytes:
    return (float_bundle / "model.onnx").read_bytes()


@pytest.fixture
def card(toy_card: ModelCard) -> ModelCard:
    return toy_card.model_copy(update={"thresholds": Thresholds(foreground=0.5, seed=0.4)})


@pytest.fixture
def example() -> Example:
    image = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    labels = np.zeros((64, 64), np.int32)
    labels[10:30, 10:30] = 1
    return Example(image, labels)


def test_a_file_agrees_with_itself(card: ModelCard, content: bytes, example: Example) -> None:
    found = measure_agreement(card, content, content, [example, example], "tuning")

    assert (found.images, found.subset) == (2, "tuning")
    assert (found.level_difference, found.confluency_difference) == (0, 0)
    assert found.kaggle_score == found.kaggle_score_float32
    assert found.confluency_error == found.confluency_error_float32 > 0


def test_a_file_that_finds_everything_everywhere_differs_by_what_was_background(
    card: ModelCard, content: bytes, example: Example
) -> None:
    everywhere = shifted(content, 50.0)

    found = measure_agreement(card, content, everywhere, [example], "training")

    # 400 of 4096 pixels are labelled, all of them are found.
    assert found.confluency_error == pytest.approx(100 - 100 * 400 / 4096, abs=1e-3)
    assert found.level_difference > 50
    assert found.confluency_difference > 0
    assert found.kaggle_score == 0


def test_without_labels_there_are_no_scores(card: ModelCard, content: bytes, example: Example) -> None:
    found = measure_agreement(card, content, content, [Example(example.pixels, None)], "unlabelled")

    assert (found.kaggle_score, found.confluency_error, found.level_difference) == (None, None, 0)


def test_without_images_there_is_nothing_to_say(card: ModelCard, content: bytes) -> None:
    assert measure_agreement(card, content, content, [], "tuning") is None


def test_speed_is_a_ratio(card: ModelCard, content: bytes) -> None:
    assert 0 < measure_speedup(card, content, content) < 1000


@pytest.mark.parametrize(
    ("changes", "speedup", "expected", "reason"),
    [
        ({}, 1.9, True, "as good as float32 and 1.9 times as fast"),
        ({"kaggle_score": 0.60}, 1.9, True, "as good as"),
        ({"kaggle_score": 0.5701}, 1.9, True, "as good as"),
        ({"kaggle_score": 0.5699}, 1.9, False, "it loses 0.0051 of the Kaggle score"),
        ({"confluency_difference": 0.2}, 1.9, True, "as good as"),
        ({"confluency_difference": 0.25}, 1.9, False, "it changes the confluency by 0.25 percentage points"),
        ({}, 1.05, False, "it is 1.05 times as fast as float32"),
        ({"kaggle_score": None}, 1.9, False, "no labelled images to compare it on"),
    ],
)
def test_int8_is_the_default_where_it_loses_nothing_that_counts(
    changes: dict[str, float | None], speedup: float, *, expected: bool, reason: str
) -> None:
    fields = {
        "images": 44,
        "subset": "tuning",
        "level_difference": 0.3,
        "confluency_difference": 0.06,
        "kaggle_score_float32": 0.575,
        "kaggle_score": 0.575,
    }

    is_default, why = is_good_enough(Agreement(**fields | changes), speedup)

    assert is_default is expected
    assert reason in why
