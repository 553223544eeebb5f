import math

import pytest

from monolayer_service.telemetry.utilisation import Utilisation


def test_what_never_ran_is_not_busy():
    assert Utilisation(now=5.0).ratio(100.0) == 0


def test_what_always_runs_is_busy():
    utilisation = Utilisation(now=0.0, memory_seconds=10)
    utilisation.begin(0.0)
    assert utilisation.ratio(10.0) == pytest.approx(1 - 1 / math.e)
    assert utilisation.ratio(1000.0) == pytest.approx(1)


def test_half_the_time_is_one_half():
    utilisation = Utilisation(now=0.0, memory_seconds=100)
    for second in range(2000):
        utilisation.begin(second)
        utilisation.end(second + 0.5)
    assert utilisation.ratio(2000.0) == pytest.approx(0.5, abs=0.01)


def test_two_runs_at_once_are_busy_once():
    utilisation = Utilisation(now=0.0)
    counted = [utilisation.begin(1.0), utilisation.begin(2.0), utilisation.end(4.0), utilisation.end(5.0)]
    assert counted == [0, 1, 2, 1]
    assert utilisation.begin(9.0) == 0
