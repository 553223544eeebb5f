"""When a confluency is reached, against series that are known to reach it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_client.arrival import arrival_at
from monolayer_client.growth import fit_growth

HOURS = np.arange(0.0, 48.0, 2.0)


def exponential(doubling_h, start=5.0, hours=HOURS):
    return start * 2 ** (hours / doubling_h)


def logistic(doubling_h, hours, start=5.0):
    return 100 / (1 + (100 / start - 1) * 2 ** (-hours / doubling_h))


def arrival(target, hours, percent):
    return arrival_at(target, hours, percent, fit_growth(hours, percent))


def test_a_target_that_was_passed_is_read_between_two_images():
    found = arrival(10.0, HOURS, exponential(20.0))
    assert found.kind == "observed"
    assert found.hours == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize(("at", "value"), [(3, 90.0), (0, 60.0), (23, 75.0), (12, 1.0)])
def test_one_stray_value_is_no_arrival(at, value):
    percent = exponential(20.0)
    percent[at] = value
    assert arrival(10.0, HOURS, percent).hours == pytest.approx(20.0, abs=0.3)
    assert arrival(50.0, HOURS, percent).kind != "observed"


def test_two_images_at_the_end_are_an_arrival():
    percent = np.array([20.0, 22, 24, 26, 28, 41, 42])
    found = arrival(40.0, np.arange(7.0), percent)
    assert (found.kind, found.hours) == ("observed", pytest.approx(4 + 12 / 13))
    assert arrival(40.0, np.arange(6.0), percent[:6]).kind != "observed"


@pytest.mark.parametrize(
    ("percent", "kind", "hours"),
    [
        pytest.param([5.0, 6, 7, 8], "reached before", 0.0, id="two above at the start"),
        pytest.param([1.0, 6, 7, 8], "reached before", 2.0, id="one below at the start"),
        pytest.param([60.0, 1, 1, 1], "insufficient data", None, id="one above at the start"),
        pytest.param([60.0], "insufficient data", None, id="one image"),
        pytest.param([60.0, 61.0], "reached before", 0.0, id="two images"),
    ],
)
def test_what_was_reached_before_the_first_images(percent, kind, hours):
    found = arrival(4.0, HOURS[: len(percent)], np.array(percent))
    assert (found.kind, found.hours) == (kind, hours)


def test_a_forecast_of_clean_exponential_growth_allows_for_crowding_to_come():
    found = arrival(60.0, HOURS, exponential(24.0, start=10.0))
    truth = 24 * np.log2(6)
    assert found.kind == "forecast"
    assert (found.hours, found.low) == pytest.approx((truth, truth), rel=1e-6)
    # From the middle of the images, at 23 h, on as a logistic curve up to 100 %.
    covered = 0.1 * 2 ** (23 / 24)
    way = np.log(0.6 / 0.4) - np.log(covered / (1 - covered))
    assert found.high == pytest.approx(23 + way * (1 - covered) * 24 / np.log(2), rel=1e-6)


def test_a_forecast_of_clean_growth_that_slows_is_that_of_its_curve():
    hours = np.arange(0.0, 58.0, 2.0)
    percent = logistic(12.0, hours)
    assert percent[-1] < 60
    found = arrival(80.0, hours, percent)
    truth = 12 * np.log2(19 * 4)
    assert found.kind == "forecast"
    assert (found.hours, found.low, found.high) == pytest.approx((truth, truth, truth), rel=1e-5)


def test_a_forecast_widens_with_noise():
    percent = exponential(24.0, start=10.0) * np.exp(np.random.default_rng(2).normal(0, 0.02, len(HOURS)))
    found = arrival(60.0, HOURS, percent)
    truth = 24 * np.log2(6)
    assert found.kind == "forecast"
    assert found.low < truth - 1 < truth + 1 < found.high
    assert found.hours == pytest.approx(truth, rel=0.05)


@given(
    st.sampled_from([6.0, 10.0, 20.0, 60.0, -30.0]),
    st.floats(20, 95),
    st.floats(2, 90),
    st.sampled_from([0.0, 0.01, 0.05]),
    st.integers(0, 5),
)
def test_a_forecast_lies_ahead_and_within_its_interval(doubling_h, ceiling, target, deviation, seed):
    noise = np.random.default_rng(seed).normal(0, deviation, len(HOURS))
    percent = np.minimum(exponential(doubling_h), ceiling) * np.exp(noise)
    found = arrival(target, HOURS, np.minimum(percent, 100.0))
    if found.kind == "forecast":
        assert HOURS[-1] <= found.low <= found.hours <= found.high <= HOURS[-1] + np.ptp(HOURS)
    elif found.kind == "insufficient data":
        assert (found.hours, found.low, found.high) == (None, None, None)
        assert found.reason


@pytest.mark.parametrize(
    ("target", "percent", "reason"),
    [
        pytest.param(79.0, exponential(40.0), "further ahead", id="too far ahead"),
        pytest.param(90.0, exponential(20.0), "above 80 %", id="beyond crowding"),
        pytest.param(50.0, exponential(-20.0), "does not grow", id="shrinking"),
        pytest.param(53.0, np.minimum(exponential(9.0), 49.0), "the rate falls", id="stopped"),
        pytest.param(
            70.0, 60 / (1 + 11 * 2 ** (-HOURS / 8)), "the fitted curve levels off at 60 %", id="a ceiling below"
        ),
    ],
)
def test_what_cannot_be_foretold_is_not(target, percent, reason):
    found = arrival(target, HOURS, percent)
    assert found.kind == "insufficient data"
    assert reason in found.reason


def test_a_fitted_time_that_is_past_is_no_forecast():
    """Growth has slowed at the end, too little for the bend to be told from noise."""
    percent = exponential(24.0, start=10.0) * np.exp(np.random.default_rng(5).normal(0, 0.05, len(HOURS)))
    percent[-3:] = percent[-4]
    growth = fit_growth(HOURS, percent)
    target = float(growth.curve.percent_at(HOURS[-1:] - 0.5)[0])
    assert percent[-3:].max() < target
    found = arrival_at(target, HOURS, percent, growth)
    assert (found.kind, found.reason) == ("insufficient data", "growth has slowed: the fitted curve is there already")


def test_growth_that_may_slow_is_not_foretold():
    percent = exponential(24.0, start=10.0) * np.exp(np.random.default_rng(3).normal(0, 0.15, len(HOURS)))
    assert arrival(70.0, HOURS, percent).reason == "whether growth slows before cannot be told from these images"
