"""Prepared images through networks one can see through: the image itself is the answer."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_core.prediction import plan_prediction, predict_probabilities, stream_probabilities

NUCLEUS = Output(name="nucleus", role="class")
BOUNDARY = Output(name="boundary", role="boundary")


def card(*outputs, **fields):
    defaults = {
        "name": "toy",
        "version": "1",
        "task": "instances",
        "confluency_of": "nucleus",
        "channels": "grey",
        "outputs": outputs,
        "tile_sides": (32, 64),
        "halo": 8,
        "divisor": 8,
        "training_data": TrainingData(name="none", licence="none", source="none", images=0, objects=0),
    }
    return ModelCard(**(defaults | fields))


def identity(batch):
    return batch


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([None, [32], [16, 32], [64], [128]]))
def test_tiles_and_flips_do_not_show_when_the_network_sees_single_pixels(height, width, sides):
    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 1), dtype=np.uint8)
    toy = card(NUCLEUS)
    for tta in (False, True):
        found = predict_probabilities(image, toy, identity, tta=tta, sides=sides, batch_size=3)
        np.testing.assert_array_equal(found, image)


def test_test_time_augmentation_is_the_mean_of_four_views_with_halves_rounded_up():
    def left_to_right(batch):
        """Answers with the column of the tile, whatever is seen."""
        return np.broadcast_to(np.arange(batch.shape[2], dtype=np.uint8)[:, np.newaxis], batch.shape).copy()

    image = np.zeros((8, 8, 1), dtype=np.uint8)
    toy = card(NUCLEUS, tile_sides=(8,), halo=0)
    plain = predict_probabilities(image, toy, left_to_right)
    mean = predict_probabilities(image, toy, left_to_right, tta=True)
    np.testing.assert_array_equal(plain[0, :, 0], np.arange(8))
    assert (mean == 4).all()  # 3.5 rounded up


def test_mirroring_the_image_mirrors_the_averaged_answer():
    def slanted(batch):
        """A network that is not symmetric: each pixel takes the value of its left neighbour."""
        return np.roll(batch, 1, axis=2)

    image = np.random.default_rng(4).integers(0, 256, (16, 24, 1), dtype=np.uint8)
    toy = card(NUCLEUS, tile_sides=(24,))
    found = predict_probabilities(image, toy, slanted, tta=True)
    mirrored = predict_probabilities(np.ascontiguousarray(image[:, ::-1]), toy, slanted, tta=True)
    np.testing.assert_array_equal(mirrored[:, 1:-1], found[:, ::-1][:, 1:-1])


def test_an_answer_with_other_outputs_than_the_card_is_refused():
    with pytest.raises(PredictionError, match="the network gave"):
        predict_probabilities(np.zeros((8, 8, 1), dtype=np.uint8), card(NUCLEUS, BOUNDARY), identity)


def taking_ahead(window, taken):
    """A stream that holds `window` batches before it gives the first answer, and notes when it takes and gives."""

    def stream(batches):
        held = deque()
        for batch in batches:
            taken.append("take")
            held.append(batch)
            if len(held) == window:
                taken.append("give")
                yield held.popleft()
        while held:
            taken.append("give")
            yield held.popleft()

    return stream


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 9), st.booleans())
def test_a_stream_that_takes_batches_ahead_gives_the_same_answer(height, width, window, tta):
    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 1), dtype=np.uint8)
    toy = card(NUCLEUS)
    plan = plan_prediction(height, width, toy)
    found = stream_probabilities(image, toy, taking_ahead(window, []), plan, tta=tta)
    np.testing.assert_array_equal(found, image)


def test_mirror_images_go_through_one_stream_that_never_runs_dry_between_them():
    taken = []
    toy = card(NUCLEUS, tile_sides=(64,))
    plan = plan_prediction(40, 40, toy)
    stream_probabilities(np.zeros((40, 40, 1), np.uint8), toy, taking_ahead(2, taken), plan, tta=True)
    assert taken == ["take", "take", "give", "take", "give", "take", "give", "give"]


def test_the_plan_is_one_for_the_size_at_which_the_network_sees_the_image():
    toy = card(NUCLEUS, input_scale=0.5, halo=0)
    plan = plan_prediction(128, 60, toy)
    assert (plan.height, plan.width, [tile.height for tile in plan.tiles]) == (64, 30, [32, 32])
    assert [tile.height for tile in plan_prediction(128, 60, toy, sides=[64]).tiles] == [64]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_stream_that_ends_early_is_noticed(missing):
    def stream(batches):
        yield from list(batches)[: 2 - missing]

    toy = card(NUCLEUS, tile_sides=(32,), halo=0)
    image = np.zeros((64, 32, 1), np.uint8)
    with pytest.raises(PredictionError, match="no answer"):
        stream_probabilities(image, toy, stream, plan_prediction(64, 32, toy))
