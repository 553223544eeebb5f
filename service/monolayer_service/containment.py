"""What goes wrong in a thread stays an error of the request it worked for."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BrokenOffError(RuntimeError):
    """Work in a thread ended with something that would have ended more than this work."""


def contained(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread whose outcome an event loop waits for.

    Exceptions pass as they are. Others must not reach the loop: `SystemExit` would end the service, a `CancelledError`
    would look as if the caller's task had been cancelled, and a future cannot hold `StopIteration`.

    Raises
    ------
    BrokenOffError
        The function raised one of those.
    """
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration | CancelledError):
            raise
        raise BrokenOffError(f"work in a thread ended with {type(error).__name__}") from error
