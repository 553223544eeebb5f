"""Options as query parameters."""

import doctest

from monolayer_client import options
from monolayer_client.options import to_query


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(options).failed == 0


def test_false_is_sent_and_none_is_left_out():
    assert to_query({"tta": False, "model": None, "z": 0}) == (("tta", "false"), ("z", "0"))


def test_an_echo_may_be_written_as_the_query_has_it():
    assert to_query({"echo.plate": "7"}) == (("echo.plate", "7"),)
