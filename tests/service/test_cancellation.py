import pytest

from monolayer_service.cancellation import Cancellation


def test_what_is_wanted_goes_on():
    cancellation = Cancellation()
    cancellation.check()


def test_only_the_first_error_counts():
    cancellation = Cancellation()
    cancellation.cancel(ValueError("first"))
    cancellation.cancel(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        cancellation.check()


def test_listeners_hear_it_at_once_and_only_while_they_listen():
    cancellation, heard = Cancellation(), []
    with cancellation.heard_by(lambda error: heard.append(("gone", error))):
        pass
    error = ValueError("late")
    with cancellation.heard_by(lambda error: heard.append(("here", error))):
        cancellation.cancel(error)
    assert heard == [("here", error)]


def test_who_comes_too_late_to_listen_is_told_so():
    cancellation = Cancellation()
    cancellation.cancel(ValueError("late"))
    with pytest.raises(ValueError, match="late"), cancellation.heard_by(print):
        raise AssertionError("never here")
