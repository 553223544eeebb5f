"""Requests that come at a rate of their own, whether or not the service keeps up, over many open connections.

All connections are served by one thread and every request is the same bytes, prepared once: what the generator spends
of the processor is missing in the service.
"""

import bisect
import contextlib
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.load import ANSWER_SECONDS, Post

REFUSALS = frozenset({429, 503})
READ_BYTES = 1 << 16
LONGEST_WAIT_SECONDS = 0.05
"""For an answer, before `is_over` is asked again."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *([^\r]*)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


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
    """What came of a stretch of pressure; `problems` are connections that broke.

    `last_sent_at` is when the last request was sent, by the clock of `time.perf_counter`.
    """

    replies: list[Reply]
    problems: list[str]
    seconds: float
    last_sent_at: float

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

    Requests that are due when every connection waits for its answer are sent as soon as one is free. Ends when all are
    answered.

    Raises
    ------
    TimeoutError
        Nothing was answered for a quarter of an hour.
    """
    with contextlib.closing(Crowd(port, prepare(post), clients)) as crowd:
        began = time.perf_counter()
        sent, ended = 0, False
        while not ended or crowd.is_waiting:
            ended = ended or is_over(time.perf_counter() - began)
            while not ended and crowd.has_free and began + sent / rate <= time.perf_counter():
                crowd.send()
                sent += 1
            until_due = began + sent / rate - time.perf_counter()
            crowd.take_answers(until_due if crowd.has_free and not ended else LONGEST_WAIT_SECONDS)
        return Pressed(crowd.replies, crowd.problems, time.perf_counter() - began, crowd.last_sent_at)


class Crowd:
    """Connections that all post the same request, bytes `request`, again and again."""

    def __init__(self, port: int, request: bytes, clients: int) -> None:
        self.replies: list[Reply] = []
        self.problems: list[str] = []
        self.last_sent_at = self._heard_at = time.perf_counter()
        self._request = request
        self._selector = selectors.DefaultSelector()
        # In turn, so that none is idle for so long that the service closes it.
        self._free = deque(Connection(port) for _ in range(clients))
        self._waiting: set[Connection] = set()

    @property
    def has_free(self) -> bool:
        """Whether a connection could post."""
        return bool(self._free)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._waiting)

    def send(self) -> None:
        """Post over a free connection."""
        connection = self._free.popleft()
        self.last_sent_at = time.perf_counter()
        try:
            connection.send(self._request)
        except OSError as error:
            self._replace(connection, error)
        else:
            self._waiting.add(connection)
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def take_answers(self, wait_seconds: float) -> None:
        """Take the answers that are there, or come within a time.

        Raises
        ------
        TimeoutError
            None has come for a quarter of an hour.
        """
        for key, _ in self._selector.select(min(LONGEST_WAIT_SECONDS, max(0.0, wait_seconds))):
            connection: Connection = key.data
            self._heard_at = time.perf_counter()
            error = None
            try:
                reply = connection.receive()
            except OSError as found:
                reply, error = None, found
            if reply is None and error is None:
                continue
            self._selector.unregister(key.fileobj)
            self._waiting.remove(connection)
            if reply is not None:
                self.replies.append(reply)
            if error is not None or connection.is_closing:
                self._replace(connection, error)
            else:
                self._free.append(connection)
        if self._waiting and time.perf_counter() - self._heard_at > ANSWER_SECONDS:
            raise TimeoutError(f"{len(self._waiting)} requests have not been answered for {ANSWER_SECONDS} s")

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._free, *self._waiting):
            connection.close()
        self._selector.close()

    def _replace(self, connection: "Connection", error: OSError | None) -> None:
        """Connect anew where a connection broke or was the service's to close."""
        if error is not None:
            self.problems.append(repr(error))
        connection.close()
        self._free.append(Connection(connection.port))


def prepare(post: Post) -> bytes:
    """Write a request as it goes over the wire.

    Examples
    --------
    >>> prepare(Post("/v1/segment", b"pixels"))[-29:]
    b'\\r\\nContent-Length: 6\\r\\n\\r\\npixels'
    """
    head = f"POST {post.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {post.media_type}"
    return f"{head}\r\nContent-Length: {len(post.body)}\r\n\r\n".encode("ascii") + post.body


class Answer(NamedTuple):
    """A whole answer, as far as it matters here."""

    status: int
    retry_after: str | None
    is_last: bool


def parse_answer(received: bytes) -> Answer | None:
    r"""Read an answer of a known length, without what follows; None while it is not whole.

    Examples
    --------
    >>> parse_answer(b"HTTP/1.1 429 Too Many\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\n{}")
    Answer(status=429, retry_after='3', is_last=False)
    >>> parse_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}") is None
    True

    Raises
    ------
    ConnectionError
        The head names no length.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[:end]
    if (length := _LENGTH.search(head)) is None:
        raise ConnectionError(f"an answer without a length: {head[:200]!r}")
    if len(received) < end + 4 + int(length[1]):
        return None
    told = _RETRY_AFTER.search(head)
    return Answer(int(head[9:12]), told and told[1].decode("latin-1"), _CLOSE.search(head) is not None)


class Connection:
    """One connection that is kept open, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_closing = False

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._sent_at = time.perf_counter()
        self._received = b""
        self.socket.sendall(request)

    def receive(self) -> Reply | None:
        """Read what has come; the answer when it is whole."""
        part = self.socket.recv(READ_BYTES)
        if not part:
            raise ConnectionError("closed before the answer was whole")
        self._received += part
        if (answer := parse_answer(self._received)) is None:
            return None
        now = time.perf_counter()
        self.is_closing = answer.is_last
        return Reply(now, now - self._sent_at, answer.status, whole_seconds(answer.retry_after))

    def close(self) -> None:
        """Close it."""
        self.socket.close()


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
