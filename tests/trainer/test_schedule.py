"""The learning rate and the budget, by steps and by the clock."""

import doctest

import pytest

from monolayer_trainer import schedule
from monolayer_trainer.schedule import FLOOR, Budget, learning_rate


def test_the_learning_rate_rises_to_its_peak_and_falls_to_its_floor():
    rates = [learning_rate(step / 100, peak=2e-3, warmup=0.1) for step in range(101)]
    assert rates[0] == pytest.approx(2e-3 * FLOOR)
    assert rates[10] == pytest.approx(2e-3)
    assert rates[100] == pytest.approx(2e-3 * FLOOR)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_without_a_warmup_it_begins_at_its_peak():
    assert learning_rate(0.0, peak=1.0, warmup=0.0) == 1.0


def test_beyond_the_end_it_stays_at_its_floor():
    assert learning_rate(1.5, peak=1.0, warmup=0.1) == pytest.approx(FLOOR)


def test_without_minutes_epochs_are_counted():
    budget = Budget(epochs=20, minutes=None)
    assert [budget.fraction(epochs) for epochs in (0, 0.5, 5, 20, 30)] == [0.0, 0.025, 0.25, 1.0, 1.0]


def test_with_minutes_the_clock_is_read_and_time_before_a_resumption_counts():
    clock = iter([1000.0, 1030.0, 1090.0, 1300.0])
    budget = Budget(epochs=20, minutes=5, elapsed_seconds=60.0, now=lambda: next(clock))
    # 60 seconds were spent before; then 30, 90 and 300 of the 300 seconds.
    assert [budget.fraction(epochs) for epochs in (0, 1, 2)] == pytest.approx([0.3, 0.5, 1.0])


def test_the_examples_are_right():
    assert doctest.testmod(schedule).failed == 0
