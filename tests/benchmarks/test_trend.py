"""The slope is least squares'; its interval is wider where neighbours are alike."""

import numpy as np
import pytest
import scipy.stats
from benchmarks.trend import fit_trend


def test_the_slope_of_a_line_is_found_without_doubt():
    trend = fit_trend([0, 1, 2, 3, 10], [7, 9, 11, 13, 27])
    assert (trend.slope, trend.half_width) == (pytest.approx(2), 0)
    assert trend.least_growth == pytest.approx(2)


def test_of_independent_samples_it_is_the_textbooks_interval():
    x = np.arange(200.0)
    y = 3 + np.random.default_rng(4).normal(size=200)
    trend, reference = fit_trend(x, y), scipy.stats.linregress(x, y)
    assert trend.slope == pytest.approx(reference.slope)
    assert trend.half_width == pytest.approx(scipy.stats.t.ppf(0.975, 198) * reference.stderr, rel=0.15)
    assert trend.least_growth == 0


def test_samples_alike_their_neighbours_tell_less():
    x = np.arange(300.0)
    noise = np.random.default_rng(1).normal(size=300)
    alike = np.zeros(300)
    for i in range(1, 300):
        alike[i] = 0.9 * alike[i - 1] + noise[i]
    naive = scipy.stats.t.ppf(0.975, 298) * scipy.stats.linregress(x, alike).stderr
    assert fit_trend(x, alike).half_width > 2 * naive


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    x = np.arange(100.0)
    held = [
        abs(trend.slope - 0.5) <= trend.half_width
        for trend in (fit_trend(x, 0.5 * x + rng.normal(size=100)) for _ in range(400))
    ]
    assert 0.92 <= np.mean(held) <= 0.99


@pytest.mark.parametrize(("sign", "expected"), [(1, 0.9), (-1, -0.9)])
def test_growth_is_the_end_of_the_interval_nearer_to_zero(sign, expected):
    rng = np.random.default_rng(2)
    x = np.linspace(0, 100, 200)
    growth = fit_trend(x, sign * x + rng.normal(size=200)).least_growth
    assert growth == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("x", "y"), [([1, 2, 3], [1, 2, 3]), ([5, 5, 5, 5], [1, 2, 3, 4])], ids=["few", "one place"])
def test_too_little_is_an_error(x, y):
    with pytest.raises(ValueError, match="at least four"):
        fit_trend(x, y)
