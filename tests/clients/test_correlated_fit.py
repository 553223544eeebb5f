"""Straight lines through correlated values, against lines that are known."""

import numpy as np
import pytest
from scipy.stats import t as student

from monolayer_client.correlated_fit import fit_linear

HOURS = np.arange(0.0, 48.0, 2.0)
LINE = np.column_stack([np.ones_like(HOURS), HOURS])
SLOPE = np.array([0.0, 1.0])


def correlated(correlation, random):
    values = random.standard_normal(len(HOURS))
    for i in range(1, len(HOURS)):
        values[i] = correlation * values[i - 1] + np.sqrt(1 - correlation**2) * values[i]
    return values


def test_a_clean_line_is_known():
    known = fit_linear(LINE, 1 + 0.03 * HOURS, HOURS).estimate(SLOPE)
    assert (known.value, known.low, known.high) == pytest.approx((0.03, 0.03, 0.03), rel=1e-6)


def test_without_correlation_the_interval_is_nearly_that_of_ordinary_least_squares():
    hours = np.arange(400.0)
    design = np.column_stack([np.ones_like(hours), hours])
    values = np.random.default_rng(4).standard_normal(400)
    known = fit_linear(design, values, hours).estimate(SLOPE)
    best, squares = np.linalg.lstsq(design, values)[:2]
    error = np.sqrt(squares[0] / 398 * np.linalg.inv(design.T @ design)[1, 1])
    assert known.value == pytest.approx(best[1], abs=0.2 * error)
    assert known.high - known.low == pytest.approx(2 * student.ppf(0.975, 398) * error, rel=0.2)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_interval_holds_the_true_slope_as_often_as_it_says(correlation):
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        values = 2 + 0.03 * HOURS + 0.05 * correlated(correlation, random)
        known = fit_linear(LINE, values, HOURS).estimate(SLOPE)
        held += known.low <= 0.03 <= known.high
    assert held / 400 >= 0.93


def test_images_that_are_missing_do_not_make_the_others_more_alike():
    values = 0.03 * HOURS + correlated(0.8, np.random.default_rng(1))
    kept = np.ones(len(HOURS), bool)
    kept[8:16] = False
    whole, part = (
        fit_linear(LINE[rows], values[rows], HOURS[rows]).estimate(SLOPE) for rows in (np.ones_like(kept), kept)
    )
    assert part.high - part.low == pytest.approx(whole.high - whole.low, rel=0.5)
    assert part.value == pytest.approx(whole.value, abs=(whole.high - whole.low) / 4)


def test_drawn_coefficients_are_spread_like_the_interval():
    values = 2 + 0.03 * HOURS + 0.1 * correlated(0.5, np.random.default_rng(2))
    fit = fit_linear(LINE, values, HOURS)
    drawn, known = fit.draw(20_000), fit.estimate(SLOPE)
    width = known.high - known.low
    assert drawn.shape == (20_000, 2)
    assert np.quantile(drawn[:, 1], [0.025, 0.975]) == pytest.approx([known.low, known.high], abs=0.05 * width)
    assert np.array_equal(fit.draw(50), fit.draw(50))
