"""Layers of known confluency are made of the given images alone, and measured without favour."""

import numpy as np
import pytest

from monolayer_core.arrays import LabelImage, Pixels
from monolayer_core.measure import confluency_percent
from monolayer_trainer.dense_layers import Field, make_layers, measure_layers, pool_layers, summarise_layers

LEVELS = (20, 40, 70, 90)


def field(seed: int = 0, size: int = 240, channels: int = 0) -> tuple[Pixels, LabelImage]:
    """Ground 1000, squares of 16 pixels at 3000: none at the left, one every 20 pixels at the right."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    places = [(y, x) for y in range(2, size, 20) for x in range(2, size, 20) if rng.random() < 1.5 * x / size - 0.2]
    for number, (y, x) in enumerate(places, start=1):
        labels[y : y + 16, x : x + 16] = number
    pixels = np.where(labels > 0, 3000, 1000).astype(np.uint16)
    return (np.repeat(pixels[..., None], channels, axis=2) if channels else pixels), labels


def bright(pixels: Pixels) -> LabelImage:
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    return (grey > 127).astype(np.int32)


def figures(segment, images=None, **options):
    images = [field(0), field(1)] if images is None else images
    return pool_layers(
        [measure_layers(segment, images, levels_percent=LEVELS, layers_per_level=2, side_px=128, **options)]
    )


@pytest.mark.parametrize("coverage_percent", LEVELS)
def test_pasted_layers_reach_their_level(coverage_percent: int):
    fields = [Field.of(*field(0)), Field.of(*field(1))]
    layers = [*make_layers(fields, "pasted", levels_percent=[coverage_percent], layers_per_level=3, side_px=200)]
    assert [one.level_percent for one in layers] == [coverage_percent] * 3
    for one in layers:
        assert one.pixels.shape == one.labels.shape == (200, 200)
        assert confluency_percent(one.labels) == pytest.approx(coverage_percent, abs=9), "one group of cells more"


def test_bright_pixels_are_the_covered_ones_in_layers_of_either_kind():
    fields = [Field.of(*field(0))]
    for kind in ("pasted", "mirrored"):
        for one in make_layers(fields, kind, levels_percent=[40], layers_per_level=3, side_px=128):
            assert np.mean((bright(one.pixels) > 0) == (one.labels > 0)) > 0.96


def test_a_mirrored_layer_is_a_window_and_its_reflections():
    pixels, labels = field(0)
    (layer, *_) = make_layers([Field.of(pixels, labels)], "mirrored", levels_percent=[40], side_px=400)
    assert confluency_percent(layer.labels) == pytest.approx(40, abs=5)
    assert set(np.unique(layer.labels)) <= set(np.unique(labels)), "nothing is pasted"
    # Every row occurs again, reflected within the period of 2 * (160 - 1) rows.
    np.testing.assert_array_equal(layer.labels[:82], layer.labels[318:400])


def test_no_mirrored_layer_stands_for_a_level_it_does_not_reach():
    assert [*make_layers([Field.of(*field(0))], "mirrored", levels_percent=[95], side_px=200)] == []


def test_layers_are_made_of_the_given_images_alone():
    """Of one image in two grey values nothing else can come, whatever other images look like."""
    for kind in ("pasted", "mirrored"):
        for one in make_layers([Field.of(*field(0))], kind, levels_percent=LEVELS, layers_per_level=1, side_px=128):
            edges = (one.pixels > 20) & (one.pixels < 235)
            assert np.mean(edges) < 0.2, "but for softened edges"
    assert figures(bright, images=[])["pasted"]["levels"] == []


@pytest.mark.parametrize("channels", [0, 3])
def test_a_perfect_segmenter_has_no_error_and_rises_with_the_level(channels: int):
    truth_of: dict[bytes, LabelImage] = {}
    images = [field(0, channels=channels), field(1, channels=channels)]
    for kind in ("pasted", "mirrored"):
        fields = [Field.of(*image) for image in images]
        for one in make_layers(fields, kind, levels_percent=LEVELS, layers_per_level=2, side_px=128):
            truth_of[one.pixels.tobytes()] = one.labels
    measured = figures(lambda pixels: truth_of[pixels.tobytes()], images=images)
    assert measured["images"] == 2
    assert measured["side_px"] == 128
    pasted = measured["pasted"]
    assert [one["level_percent"] for one in pasted["levels"]] == list(LEVELS)
    assert pasted["mean_absolute_error"] == pasted["worst_level_error"] == 0
    assert pasted["is_monotonic"]
    assert measured["mirrored"]["mean_absolute_error"] == 0


def test_a_segmenter_that_sees_nothing_is_wrong_by_all_of_it():
    pasted = figures(lambda pixels: np.zeros(pixels.shape[:2], np.int32))["pasted"]
    assert not pasted["is_monotonic"]
    assert pasted["worst_level_percent"] == 90
    assert pasted["worst_level_error"] == pytest.approx(-90, abs=10)


def test_figures_are_those_of_the_means_of_each_level():
    found = summarise_layers([(50, 48.0, 50.0), (10, 10.0, 12.0), (50, 52.0, 44.0)])
    assert found == {
        "levels": [
            {
                "level_percent": 10, "layers": 1, "true_percent": 10.0, "predicted_percent": 12.0,
                "mean_absolute_error": 2.0, "worst_error": 2.0,
            },
            {
                "level_percent": 50, "layers": 2, "true_percent": 50.0, "predicted_percent": 47.0,
                "mean_absolute_error": 5.0, "worst_error": -8.0,
            },
        ],
        "mean_absolute_error": 4.0,
        "worst_level_error": -3.0,
        "worst_level_percent": 50,
        "is_monotonic": True,
    }  # fmt: skip


def test_the_same_seed_makes_the_same_layers():
    assert figures(bright) == figures(bright)
    assert figures(bright)["pasted"] != figures(bright, seed=1)["pasted"]
