import pytest

from monolayer_service.admission.pace import Pace


def test_before_anything_was_measured_a_megapixel_is_taken_to_need_a_second():
    assert Pace(now=50).seconds_for(3) == 3


def test_the_pace_is_that_of_the_time_in_which_something_was_computed():
    pace = Pace(now=0)
    pace.observe(1000, 0, is_busy=False)
    pace.observe(1100, 400, is_busy=True)
    pace.observe(5000, 400, is_busy=False)
    pace.observe(5100, 800, is_busy=True)
    assert pace.seconds_for(100) == pytest.approx(25, rel=0.03)


def test_what_is_new_outweighs_what_is_old():
    pace = Pace(now=0)
    pace.observe(1000, 10_000, is_busy=True)
    pace.observe(2000, 10_100, is_busy=True)
    assert pace.seconds_for(1) == pytest.approx(10, rel=0.05)


def test_a_stretch_of_work_is_measured_while_it_goes_on():
    pace = Pace(now=0)
    for second in range(1, 101):
        pace.observe(second, 4.0 * second, is_busy=True)
    assert pace.seconds_for(8) == pytest.approx(2, rel=0.02)
