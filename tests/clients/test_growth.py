"""Growth rates, doubling times and forecasts, against series whose rate is known."""

import numpy as np
import pytest

from monolayer_client.growth import FEWEST_POINTS, arrival_at, fit_growth

HOURS = np.arange(0.0, 48.0, 2.0)


def exponential(doubling_h, start=5.0, hours=HOURS):
    return start * 2 ** (hours / doubling_h)


def test_a_clean_exponential_gives_its_doubling_time():
    growth = fit_growth(HOURS, exponential(20.0))
    assert growth.verdict == "growing"
    assert growth.doubling_h == pytest.approx((20.0, 20.0, 20.0), rel=1e-6)
    assert growth.points == len(HOURS)


def test_what_comes_after_crowding_is_left_out():
    percent = np.minimum(exponential(10.0, start=10.0), 95.0)
    growth = fit_growth(HOURS, percent)
    assert growth.doubling_h[0] == pytest.approx(10.0, rel=1e-6)
    assert growth.points == np.count_nonzero(percent <= 80)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_interval_holds_the_true_rate_as_often_as_it_says(correlation):
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        deviations = np.zeros(len(HOURS))
        for i in range(1, len(HOURS)):
            deviations[i] = correlation * deviations[i - 1] + random.normal(0, 0.05)
        low, high = fit_growth(HOURS, exponential(24.0) * np.exp(deviations)).line.rate_interval()
        held += low <= np.log(2) / 24 <= high
    assert held / 400 >= 0.9


def test_a_flat_series_has_no_doubling_time():
    percent = 20 + np.random.default_rng(1).normal(0, 1, len(HOURS))
    growth = fit_growth(HOURS, percent)
    assert (growth.verdict, growth.doubling_h) == ("no change shown", None)


def test_a_dying_culture_shrinks():
    growth = fit_growth(HOURS, exponential(-20.0, start=60.0))
    assert (growth.verdict, growth.doubling_h) == ("shrinking", None)
    assert growth.line.rate == pytest.approx(-np.log(2) / 20)


@pytest.mark.parametrize(
    ("hours", "percent"),
    [
        pytest.param(HOURS[: FEWEST_POINTS - 1], exponential(20.0)[: FEWEST_POINTS - 1], id="few images"),
        pytest.param(HOURS, np.full(len(HOURS), 95.0), id="crowded from the start"),
        pytest.param(HOURS, np.full(len(HOURS), 0.2), id="nearly nothing"),
        pytest.param(np.zeros(8), np.linspace(5, 10, 8), id="all at one time"),
    ],
)
def test_nothing_is_invented(hours, percent):
    growth = fit_growth(hours, percent)
    assert growth.verdict == "insufficient data"
    assert "are needed" in growth.reason
    assert growth.doubling_h is None
    assert arrival_at(99.0, hours, percent, growth).kind == "insufficient data"


def test_a_target_that_was_passed_is_read_between_two_images():
    percent = exponential(20.0)
    arrival = arrival_at(10.0, HOURS, percent, fit_growth(HOURS, percent))
    assert arrival.kind == "observed"
    assert arrival.hours == pytest.approx(20.0, abs=0.1)


def test_one_stray_value_is_no_arrival():
    percent = exponential(20.0)
    percent[3] = 90.0
    growth = fit_growth(HOURS, exponential(20.0))
    assert arrival_at(10.0, HOURS, percent, growth).hours == pytest.approx(20.0, abs=0.1)


def test_a_forecast_follows_the_line_and_widens_with_noise():
    percent = exponential(24.0, start=10.0) * np.exp(np.random.default_rng(2).normal(0, 0.03, len(HOURS)))
    arrival = arrival_at(60.0, HOURS, percent, fit_growth(HOURS, percent))
    truth = 24 * np.log2(6)
    assert arrival.kind == "forecast"
    assert arrival.low < truth < arrival.high
    assert arrival.hours == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize(
    ("target", "doubling_h", "reason"),
    [
        pytest.param(79.0, 40.0, "further ahead", id="too far ahead"),
        pytest.param(90.0, 20.0, "above 80 %", id="beyond crowding"),
        pytest.param(50.0, -20.0, "does not grow", id="shrinking"),
    ],
)
def test_what_cannot_be_foretold_is_not(target, doubling_h, reason):
    percent = exponential(doubling_h)
    arrival = arrival_at(target, HOURS, percent, fit_growth(HOURS, percent))
    assert arrival.kind == "insufficient data"
    assert reason in arrival.reason


def test_a_target_below_the_first_image_was_reached_before():
    percent = exponential(20.0)
    assert arrival_at(2.0, HOURS, percent, fit_growth(HOURS, percent)).kind == "reached before"
