"""Requests that come at a rate of their own, whether or not the service keeps up, over many open connections."""

import bisect
import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load import ANSWER_SECONDS, Post, send

REFUSALS = frozenset({429, 503})
MAX_PROBLEMS = 20
STACK_BYTES = 1 << 18
"""Of a thread that only waits for a socket."""


@dataclass(frozen=True)
class Reply:
    """One answer: when it was there, by the clock of `time.perf_counter`, how long it took, and what it said.

    `retry_after_s` is None where the header is missing or no whole number of at least one second.
    """

    at: float
    seconds: float
    status: int
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Pressed:
    """What came of a stretch of pressure; `problems` are connections that broke."""

    replies: list[Reply]
    problems: list[str]
    seconds: float

    @property
    def accepted(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status == 200]

    @property
    def refused(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status in REFUSALS]

    @property
    def lost(self) -> int:
        """Requests that were neither answered nor refused with a time to come back."""
        told = sum(reply.retry_after_s is not None for reply in self.refused)
        return len(self.replies) + len(self.problems) - len(self.accepted) - told


def press(port: int, post: Post, *, rate: float, clients: int, is_over: Callable[[float], bool]) -> Pressed:
    """Post `rate` times a second over `clients` connections until `is_over` says so, told the seconds that have passed.

    Requests that are due when every connection waits for its answer are sent as soon as one is free.
    """
    lock = threading.Lock()
    replies: list[Reply] = []
    problems: list[str] = []
    sent = 0

    def next_due() -> float | None:
        nonlocal sent
        with lock:
            if is_over(time.perf_counter() - began):
                return None
            sent += 1
            return began + (sent - 1) / rate

    def work() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)) as connection:
            while (due := next_due()) is not None:
                time.sleep(max(0.0, due - time.perf_counter()))
                try:
                    response, _, taken_ms = send(connection, post)
                except (OSError, http.client.HTTPException) as error:
                    problems.append(repr(error))
                    connection.close()
                    continue
                told = response.getheader("Retry-After")
                replies.append(Reply(time.perf_counter(), taken_ms / 1000, response.status, whole_seconds(told)))

    size = threading.stack_size(STACK_BYTES)
    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    threading.stack_size(size)
    for thread in threads:
        thread.join()
    return Pressed(replies, problems, time.perf_counter() - began)


def whole_seconds(header: str | None) -> int | None:
    """Read ``Retry-After``; None where it is missing or names no time to come.

    Examples
    --------
    >>> whole_seconds("3"), whole_seconds("0"), whole_seconds("soon"), whole_seconds(None)
    (3, None, None, None)
    """
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return int(header) or None


@dataclass(frozen=True)
class WrongTimes:
    """Refusals after whose time there was no place yet, and such that sent their callers away for too long."""

    too_short: list[Reply]
    too_long: list[Reply]


def wrong_times(replies: Sequence[Reply], *, most_inside: int) -> WrongTimes:
    """Refusals that named a wrong time.

    A time is right when a request was finished within it, so that there was a place to come back to, and when no more
    requests were finished a second before it than can be inside: else everybody who was ahead had left long ago. It
    is not judged where the requests that could tell were still to come when the last one had been answered.
    """
    finished = sorted(reply.at for reply in replies if reply.status == 200)
    found = WrongTimes([], [])
    if not finished:
        return found

    def left(begin: float, end: float) -> int:
        return bisect.bisect_right(finished, end) - bisect.bisect_right(finished, begin)

    for reply in replies:
        if reply.status not in REFUSALS or reply.retry_after_s is None or reply.at + reply.retry_after_s > finished[-1]:
            continue
        if left(reply.at, reply.at + reply.retry_after_s) == 0:
            found.too_short.append(reply)
        if left(reply.at, reply.at + reply.retry_after_s - 1) > most_inside:
            found.too_long.append(reply)
    return found
