import numpy as np
import pytest

from monolayer_core.row_source import ArrayRows
from monolayer_service.cancellation import Cancellation, WantedRows


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


def test_rows_are_given_as_long_as_they_are_wanted():
    pixels = np.arange(24, dtype=np.uint16).reshape(2, 4, 3)
    cancellation = Cancellation()
    rows = WantedRows(ArrayRows(pixels), cancellation)
    assert (rows.height, rows.width, rows.channels, rows.dtype) == (2, 4, 3, np.uint16)
    np.testing.assert_array_equal(rows.read(slice(1, 2)), pixels[1:2])
    cancellation.cancel(ValueError("late"))
    with pytest.raises(ValueError, match="late"):
        rows.read(slice(1, 2))
