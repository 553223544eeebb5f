"""A small bounded load generator: N keep-alive connections, each posting one image after the other.

It uses the standard library's blocking client, because every processor cycle spent here is missing in the service on
the same machine; what it did spend is reported.
"""

import http.client
import itertools
import statistics
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ANSWER_SECONDS = 900


@dataclass(frozen=True)
class Post:
    """One request: where to, the bytes, and what they are."""

    path: str
    body: bytes
    media_type: str = "image/png"


@dataclass(frozen=True)
class Outcome:
    """What a run of requests showed: its wall time, each answer's, and the stages the service named."""

    latencies_ms: list[float]
    wall_seconds: float
    generator_cpu_seconds: float
    stages_ms: dict[str, float]
    failed: int = 0

    @property
    def requests(self) -> int:
        """How many were answered."""
        return len(self.latencies_ms)

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.wall_seconds

    @property
    def median_ms(self) -> float:
        return statistics.median(self.latencies_ms)

    @property
    def p99_ms(self) -> float:
        return percentile(self.latencies_ms, 0.99)

    @property
    def generator_cpu_share(self) -> float:
        """Of one core, the load generator's own."""
        return self.generator_cpu_seconds / self.wall_seconds


def post_all(
    port: int, posts: Iterable[Post], *, clients: int, seconds: float = float("inf"), counts_failures: bool = False
) -> Outcome:
    """Post each of `posts` once over `clients` connections; none is begun after `seconds`.

    With `counts_failures` answers other than 200 are counted, beside those of which the figures are.

    Raises
    ------
    RuntimeError
        An answer was not 200 where failures are not counted, or none was: a benchmark of refusals would flatter.
    """
    remaining = iter(posts)
    lock = threading.Lock()
    latencies: list[float] = []
    stages: dict[str, list[float]] = {}
    problems: list[str] = []
    failures: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        try:
            while not problems and time.perf_counter() - began < seconds:
                with lock:
                    if (post := next(remaining, None)) is None:
                        break
                response, answer, taken_ms = send(connection, post)
                if response.status != 200:
                    (failures if counts_failures else problems).append(f"{response.status}: {answer[:300]!r}")
                    continue
                with lock:
                    latencies.append(taken_ms)
                    for name, milliseconds in parse_server_timing(response.getheader("Server-Timing", "")).items():
                        stages.setdefault(name, []).append(milliseconds)
        except (OSError, http.client.HTTPException) as error:
            problems.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    cpu, began = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    if problems or (failures and not latencies):
        raise RuntimeError(f"the service answered {(problems or failures)[0]}")
    medians = {name: statistics.median(values) for name, values in stages.items()}
    return Outcome(latencies, wall, cpu, medians, len(failures))


def send(connection: http.client.HTTPConnection, post: Post) -> tuple[http.client.HTTPResponse, bytes, float]:
    """Post, and give the answer, its body, and the milliseconds until that was there."""
    sent = time.perf_counter()
    connection.request("POST", post.path, body=post.body, headers={"Content-Type": post.media_type})
    response = connection.getresponse()
    answer = response.read()
    return response, answer, 1000 * (time.perf_counter() - sent)


def repeat(post: Post, times: int) -> Iterable[Post]:
    """The same request so many times."""
    return itertools.repeat(post, times)


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest of the values that at least this fraction of them do not exceed (nearest rank).

    Examples
    --------
    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([4.0, 1.0, 3.0, 2.0], 0.99)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    rank = -int(-fraction * len(ordered) // 1)  # rounded up
    return ordered[max(1, rank) - 1]


def parse_server_timing(header: str) -> dict[str, float]:
    """Milliseconds by stage from a ``Server-Timing`` header.

    Examples
    --------
    >>> parse_server_timing("decode;dur=1.5, queue;desc=waiting;dur=0.1, total")
    {'decode': 1.5, 'queue': 0.1}
    """
    stages = {}
    for entry in header.split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "dur":
                stages[name] = float(value)
    return stages
