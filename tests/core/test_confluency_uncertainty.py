"""Intervals that are as wide as the errors seen, and no narrower for the number of images."""

import numpy as np
import pytest

from monolayer_core.card_blocks import ConfluencyUncertainty
from monolayer_core.confluency_uncertainty import (
    COVERAGE,
    MIN_IMAGES,
    fit_confluency_uncertainty,
    uncertain_percent,
    uncertainty_points,
)


@pytest.mark.parametrize(("level", "percent"), [(0, 0.0), (255, 0.0), (51, 64.0), (204, 64.0), (85, 800 / 9)])
def test_an_even_answer_is_as_uncertain_as_its_probability(level, percent):
    assert uncertain_percent(np.full((4, 5), level, dtype=np.uint8)) == pytest.approx(percent)


def test_certain_pixels_dilute_uncertain_ones():
    foreground = np.array([[51, 0, 255, 0], [255, 255, 0, 255]], dtype=np.uint8)
    assert uncertain_percent(foreground) == pytest.approx(64 / 8)


def test_the_half_width_grows_with_the_uncertain_pixels():
    spec = ConfluencyUncertainty(floor_points=0.5, slope=2.0)
    assert [uncertainty_points(percent, spec) for percent in (0.0, 1.0, 10.0)] == [0.5, 2.5, 20.5]


def test_errors_proportional_to_the_uncertain_pixels_give_that_slope_and_hardly_a_floor():
    records = [(40.0, 40.0 + 0.5 * percent, percent) for percent in range(1, 101)]
    spec = fit_confluency_uncertainty(records)
    assert spec.slope == pytest.approx(0.5, rel=0.02)
    assert spec.floor_points < 0.2


def test_errors_that_have_nothing_to_do_with_the_uncertain_pixels_give_a_floor():
    rng = np.random.default_rng(0)
    records = [(50.0, 50.0 + error, rng.choice([0.0, 10.0])) for error in rng.uniform(-2, 2, 200)]
    spec = fit_confluency_uncertainty(records)
    assert uncertainty_points(0.0, spec) == pytest.approx(1.8, abs=0.2)
    assert uncertainty_points(10.0, spec) == pytest.approx(1.8, abs=0.8)


def test_of_ten_images_the_largest_error_is_covered():
    records = [(10.0, 10.0 + error, 1.0) for error in range(10)]
    spec = fit_confluency_uncertainty(records)
    assert uncertainty_points(1.0, spec) == pytest.approx(9.0, abs=1e-3)
    assert uncertainty_points(1.0, spec) >= 9.0


def test_new_images_are_covered_as_often_as_promised():
    def draw(count):
        uncertain = rng.uniform(1, 20, count)
        predicted = rng.uniform(0, 100, count)
        return list(zip(predicted + rng.normal(0, 0.2 * uncertain), predicted, uncertain, strict=True))

    rng = np.random.default_rng(1)
    covered = []
    for _ in range(50):
        spec = fit_confluency_uncertainty(draw(40))
        covered += [abs(true - found) <= uncertainty_points(percent, spec) for true, found, percent in draw(100)]
    assert np.mean(covered) == pytest.approx(COVERAGE, abs=0.03)


@pytest.mark.parametrize(
    "records",
    [[(1.0, 1.0, 1.0)] * (MIN_IMAGES - 1), [(1.0, float("nan"), 1.0)] * 20],
    ids=["too few images", "not finite"],
)
def test_records_of_which_nothing_follows_are_refused(records):
    with pytest.raises(ValueError, match="confluency"):
        fit_confluency_uncertainty(records)
