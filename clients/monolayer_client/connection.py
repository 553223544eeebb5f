"""How a service is reached, and how long one goes on asking it."""

import random
import time
from collections.abc import Callable

import httpx2
import stamina

from monolayer_client.errors import UnavailableError

DEFAULT_URL = "http://127.0.0.1:8000"

_CONNECT_TIMEOUT_S = 10.0
_PAUSES_S = (0.25, 10.0, 0.25)
"""First pause, longest pause and jitter where the service names none."""

_LATEST_RETURN = 1.25
"""Latest return, by the time that the service names: callers who were told the same do not all come at once."""


def check_url(url: str) -> str:
    """Give the address back without a slash at its end.

    Raises
    ------
    ValueError
        It does not begin with ``http://`` or ``https://``.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the address of a service begins with http:// or https://, not {url!r}")
    return url.rstrip("/")


def timeouts(timeout_s: float) -> httpx2.Timeout:
    """Wait long for an answer, since large images take minutes, but not for a connection."""
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))


def unreachable(url: str, error: httpx2.TransportError) -> UnavailableError:
    """Say that there was no answer, and of what kind the trouble was."""
    kind = "no answer in time" if isinstance(error, httpx2.TimeoutException) else str(error) or type(error).__name__
    return UnavailableError(f"the service at {url} cannot be reached: {kind}")


def waiting(patience_s: float) -> stamina.BoundRetryingCaller:
    """Call something again while it raises `UnavailableError`, with the pauses the service asks for."""
    return stamina.RetryingCaller(*_limits(patience_s), *_PAUSES_S).on(_pause_within(patience_s))


def waiting_async(patience_s: float) -> stamina.BoundAsyncRetryingCaller:
    """Do as `waiting`, for coroutines."""
    return stamina.AsyncRetryingCaller(*_limits(patience_s), *_PAUSES_S).on(_pause_within(patience_s))


def _limits(patience_s: float) -> tuple[int | None, float | None]:
    """Most attempts, and most seconds from the first to the last."""
    return (None, patience_s) if patience_s > 0 else (1, None)


def _pause_within(patience_s: float) -> Callable[[Exception], bool | float]:
    """Decide after each failure: ask again after this pause (True: after one of our own), or give up."""
    deadline = time.monotonic() + patience_s

    def pause(error: Exception) -> bool | float:
        if not isinstance(error, UnavailableError):
            return False
        if error.retry_after_s is None:
            return True
        pause_s = error.retry_after_s * random.uniform(1.0, _LATEST_RETURN)  # noqa: S311 - no secret
        return pause_s if time.monotonic() + pause_s <= deadline else False

    return pause
