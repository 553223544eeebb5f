"""Images made smaller for a network, and its answers brought back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from monolayer_core.input_scale import enlarge, scaled_size, shrink
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_core.pipeline import interpret, segment
from monolayer_core.prediction import predict_probabilities

SIDES = st.integers(1, 40)
IMAGES = stnp.arrays(np.uint8, st.tuples(SIDES, SIDES, st.sampled_from([1, 3])))
ANSWERS = stnp.arrays(np.uint8, st.tuples(SIDES, SIDES, st.integers(1, 7)))


def card_at(scale: float) -> ModelCard:
    return ModelCard(
        name="toy",
        version="1",
        task="instances",
        confluency_of="cell",
        channels="grey",
        outputs=(Output(name="cell", role="class"), Output(name="distance", role="distance")),
        input_scale=scale,
        tile_sides=(32, 64),
        halo=8,
        divisor=8,
        training_data=TrainingData(name="made", licence="CC0-1.0", source="", images=1, objects=2),
    )


def bright_is_cell(tiles: np.ndarray) -> np.ndarray:
    """Both outputs are the image itself."""
    return np.repeat(tiles, 2, axis=-1)


def test_half_the_size_is_the_mean_of_two_by_two_pixels():
    image = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)
    means = image.reshape(15, 2, 22, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrink(image, 0.5) - means).max() <= 0.5


@given(IMAGES)
def test_the_full_size_is_the_image_itself(image):
    assert shrink(image, 1.0) is image
    assert enlarge(image, *image.shape[:2]) is image


@given(IMAGES, st.floats(0.01, 1))
def test_no_size_is_lost_on_the_way(image, scale):
    small = shrink(image, scale)
    assert small.shape == (*scaled_size(*image.shape[:2], scale), image.shape[2])
    assert small.shape[0] >= 1
    assert enlarge(small, *image.shape[:2]).shape == image.shape


@given(ANSWERS, SIDES, SIDES)
def test_each_output_is_enlarged_by_itself(answer, height, width):
    enlarged = enlarge(answer, height, width)
    assert enlarged.shape == (height, width, answer.shape[2])
    for index in range(answer.shape[2]):
        alone = enlarge(np.ascontiguousarray(answer[..., index : index + 1]), height, width)
        np.testing.assert_array_equal(enlarged[..., index], alone[..., 0])


@given(st.integers(0, 255), st.floats(0.05, 1))
def test_an_even_image_stays_even(value, scale):
    image = np.full((37, 23, 2), value, np.uint8)
    assert (enlarge(shrink(image, scale), 37, 23) == value).all()


def test_a_slope_is_neither_moved_nor_bent():
    # What shrinks by area and grows linearly must keep its place: an answer moved by half a pixel biases every outline.
    slope = np.repeat(np.arange(20, 220, 2, dtype=np.uint8)[None, :, None], 60, axis=0)
    back = enlarge(shrink(slope, 0.5), 60, 100).astype(int)
    assert np.abs(back[:, 2:-2] - slope[:, 2:-2]).max() <= 1


@pytest.mark.parametrize("tta", [False, True])
def test_the_network_sees_the_small_image_and_the_answer_has_the_size_of_the_large_one(tta):
    seen: list[tuple[int, ...]] = []

    def network(tiles: np.ndarray) -> np.ndarray:
        seen.append(tiles.shape)
        return bright_is_cell(tiles)

    image = np.zeros((62, 50, 1), np.uint8)
    image[20:40, 10:30] = 200
    answer = predict_probabilities(image, card_at(0.5), network, tta=tta)
    assert set(seen) == {(1, 32, 32, 1)}, "a single tile of the smallest side: at full size it would take a larger one"
    assert answer.shape == (62, 50, 2)
    np.testing.assert_array_equal(answer, predict_probabilities(image, card_at(0.5), bright_is_cell))
    assert np.abs(answer[22:38, 12:28].astype(int) - 200).max() == 0
    assert answer[:18].max() == 0


def test_objects_and_areas_are_those_of_the_image():
    pixels = np.zeros((128, 128), np.uint8)
    pixels[20:60, 20:60] = 250
    pixels[80:100, 80:120] = 250
    found = segment(pixels, card_at(0.5), bright_is_cell)
    assert np.bincount(found.labels.ravel())[1:].tolist() == [1600, 800]
    assert found.confluency_percent == pytest.approx(100 * 2400 / 128**2)


def test_at_full_size_nothing_changes():
    image = np.random.default_rng(1).integers(0, 256, (70, 90, 1), dtype=np.uint8)
    answer = predict_probabilities(image, card_at(1.0), bright_is_cell)
    np.testing.assert_array_equal(answer, bright_is_cell(image))
    assert interpret(answer, card_at(1.0)).labels.shape == (70, 90)
