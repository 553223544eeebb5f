"""A description one can calculate with, and distances from kinds of images one can see."""

import numpy as np
import pytest
from pydantic import ValidationError

from monolayer_core.card_blocks import ImageKind, TrainingLikeness
from monolayer_core.likeness import (
    COLOUR_FEATURES,
    GREY_FEATURES,
    describe,
    distance_from_training,
    distances,
    features_of,
)


def described(image):
    return dict(zip(features_of(image.shape[2]), describe(image).tolist(), strict=True))


def dots(ground, dot, side=128, pitch=32):
    """A dot of 8 x 8 pixels in each square of `pitch` pixels, one channel."""
    image = np.full((side, side, 1), ground, dtype=np.uint8)
    for y in range(12, side, pitch):
        for x in range(12, side, pitch):
            image[y : y + 8, x : x + 8] = dot
    return image


def test_an_even_colour_is_its_grey_level_and_its_differences():
    found = described(np.full((40, 60, 3), (204, 102, 51), dtype=np.uint8))
    grey = round(0.299 * 204 + 0.587 * 102 + 0.114 * 51) / 255
    assert [found[name] for name in GREY_FEATURES[:5]] == [grey] * 5
    assert [found[name] for name in GREY_FEATURES[5:]] == [0.0] * 4
    assert [found[name] for name in COLOUR_FEATURES] == pytest.approx([0.4, -0.2, 0.0, 0.0])


def test_half_the_image_in_another_colour_is_half_the_mean_and_half_the_deviation():
    image = np.zeros((64, 512, 3), dtype=np.uint8)
    image[:, 256:, 0] = 255
    found = described(image)
    assert found["red_green_mean"] == pytest.approx(0.5, abs=0.01)
    assert found["red_green_deviation"] == pytest.approx(0.5, abs=0.01)
    assert found["blue_green_mean"] == found["blue_green_deviation"] == 0.0
    assert (found["grey_25"], found["grey_75"]) == (0.0, pytest.approx(0.298, abs=0.005))


def test_an_image_and_its_negative_differ_in_the_sign_of_skew():
    bright, dark = described(dots(0, 255)), described(dots(255, 0))
    for scale in ("4px", "8px"):
        assert bright[f"skew_{scale}"] > 0.3
        assert dark[f"skew_{scale}"] == pytest.approx(-bright[f"skew_{scale}"], abs=0.01)
        assert dark[f"spread_{scale}"] == pytest.approx(bright[f"spread_{scale}"], abs=0.01)
    assert (bright["grey_50"], dark["grey_50"]) == (0.0, 1.0)


def test_noise_is_evenly_spread_and_few_dots_are_not():
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 1), dtype=np.uint8)
    found = described(noise)
    assert found["spread_4px"] == pytest.approx(0.8, abs=0.02)  # sqrt(2 / pi) of a Gaussian
    assert abs(found["skew_4px"]) < 0.05
    assert described(dots(0, 255))["spread_4px"] < 0.65


def test_grey_in_three_channels_is_grey_without_colour():
    grey = dots(20, 180)
    alone, repeated = describe(grey), describe(np.repeat(grey, 3, axis=2))
    np.testing.assert_allclose(repeated[: len(alone)], alone, atol=1e-9)
    assert repeated[len(alone) :].tolist() == [0.0] * 4


@pytest.mark.parametrize("repeats", [(2, 3), (12, 2), (10, 12)], ids=["larger", "high", "both sides in windows"])
def test_more_of_the_same_is_described_alike(repeats):
    image = np.random.default_rng(1).permutation(dots(30, 200).ravel()).reshape(128, 128, 1)
    np.testing.assert_allclose(describe(np.tile(image, (*repeats, 1))), describe(image), atol=0.06)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 5000, 3), (3000, 2, 1)])
def test_images_of_any_shape_are_described(shape):
    values = describe(np.full(shape, 100, dtype=np.uint8))
    assert np.isfinite(values).all()
    assert values[2] == pytest.approx(100 / 255)


def test_the_distance_is_that_from_the_nearest_kind():
    likeness = TrainingLikeness(
        features=("grey_25", "grey_75"),
        kinds=(
            ImageKind(centre=(0.0, 0.0), whitening=((1.0,), (0.0, 1.0))),
            ImageKind(centre=(1.0, 1.0), whitening=((2.0,), (1.0, 4.0))),
        ),
        max_distance=1.0,
    )
    # From the second kind (0.5, 1) is (-0.5, 0): 2 * -0.5 = -1 and 1 * -0.5 + 4 * 0 = -0.5.
    found = distances(np.array([[0.3, 0.4], [1.0, 1.0], [0.5, 1.0]]), likeness)
    np.testing.assert_allclose(found, [0.5, 0.0, np.hypot(0.5, 1.0)])
    even = np.full((20, 20, 1), 51, dtype=np.uint8)
    assert distance_from_training(even, likeness) == pytest.approx(np.hypot(0.2, 0.2))


def test_a_grey_image_has_no_colour_for_a_network_that_takes_rgb():
    kind = ImageKind(centre=(0.2, 0.3), whitening=((1.0,), (0.0, 1.0)))
    likeness = TrainingLikeness(features=("grey_50", "red_green_mean"), kinds=(kind,), max_distance=1.0)
    assert distance_from_training(np.full((9, 9, 1), 51, dtype=np.uint8), likeness) == pytest.approx(0.3)


def test_numbers_are_written_as_one_text_a_row_and_read_back():
    kind = ImageKind(centre=(0.25, -1.5), whitening=((2.0,), (1 / 3, 4e-7)))
    text = kind.model_dump_json()
    assert text == '{"centre":"0.25 -1.5","whitening":["2","0.333333 4e-07"]}'
    assert ImageKind.model_validate_json(text).whitening == ((2.0,), (0.333333, 4e-07))


@pytest.mark.parametrize(
    "kind",
    [
        {"centre": "0.5", "whitening": ["1", "0 1"]},
        {"centre": "0.5 0.5", "whitening": ["1 0", "0 1"]},
        {"centre": "0.5 nan", "whitening": ["1", "0 1"]},
        {"centre": "0.5 half", "whitening": ["1", "0 1"]},
    ],
    ids=["a number is missing", "a square", "not finite", "no number"],
)
def test_a_kind_of_another_form_is_refused(kind):
    with pytest.raises(ValidationError):
        TrainingLikeness.model_validate({"features": ["grey_25", "grey_75"], "kinds": [kind], "max_distance": 1})
