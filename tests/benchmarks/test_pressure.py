"""Who is counted as answered, refused or lost, and which refusals named a wrong time."""

import pytest
from benchmarks.pressure import Pressed, Reply, WrongTimes, wrong_times


def finished(*times):
    return [Reply(at=time, seconds=1.0, status=200) for time in times]


def refused(at, retry_after_s, status=429):
    return Reply(at, 0.01, status, retry_after_s)


def test_a_time_is_right_when_a_request_was_finished_within_it():
    replies = [*finished(0.5, 1.5, 2.5, 9), refused(1.0, 1), refused(3.0, 5, 503)]
    assert wrong_times(replies, most_inside=10) == WrongTimes([refused(3.0, 5, 503)], [])


def test_a_time_is_wrong_when_everybody_ahead_had_left_long_before():
    replies = [*finished(1, 2, 3, 4, 5, 6, 20), refused(0.0, 8)]
    assert wrong_times(replies, most_inside=6) == WrongTimes([], [])
    assert wrong_times(replies, most_inside=5) == WrongTimes([], [refused(0.0, 8)])


def test_what_the_end_of_the_run_leaves_open_is_not_judged():
    assert wrong_times([*finished(1, 2), refused(1.5, 3)], most_inside=1) == WrongTimes([], [])
    assert wrong_times([refused(1.5, 3)], most_inside=1) == WrongTimes([], [])


def test_lost_is_what_was_neither_answered_nor_told_when_to_come_back():
    replies = [*finished(1, 2, 3), refused(1, 2), refused(1, None), Reply(1, 0.1, 500), Reply(1, 0.1, 422)]
    pressed = Pressed(replies, problems=["reset", "reset"], seconds=3.0)
    assert (len(pressed.accepted), len(pressed.refused)) == (3, 2)
    assert pressed.lost == 5


@pytest.mark.parametrize(("passed", "expected"), [(0.5, False), (2.0, True)])
def test_pressure_ends_with_its_time_where_nothing_is_submitted(passed, expected):
    from benchmarks.overload import is_over

    assert is_over(passed, seconds=1.0, submitting=None) is expected
