"""A small bounded load generator: N keep-alive connections, each posting one image after the other.

It uses the standard library's blocking client, because every processor cycle spent here is missing in the service on
the same machine; what it did spend is reported.
"""

import http.client
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a run of requests showed; times in milliseconds."""

    requests_per_second: float
    median_ms: float
    p95_ms: float
    stages_ms: dict[str, float]
    generator_cpu_share: float


def post_images(port: int, path: str, body: bytes, media_type: str, *, clients: int, requests: int) -> Outcome:
    """Post `body` `requests` times over `clients` connections.

    Raises
    ------
    RuntimeError
        An answer was not 200: a benchmark of refusals would flatter the service.
    """
    remaining = iter(range(requests))
    lock = threading.Lock()
    latencies: list[float] = []
    stages: dict[str, list[float]] = {}
    problems: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while not problems:
            with lock:
                if next(remaining, None) is None:
                    break
            began = time.perf_counter()
            connection.request("POST", path, body=body, headers={"Content-Type": media_type})
            response = connection.getresponse()
            answer = response.read()
            taken = 1000 * (time.perf_counter() - began)
            if response.status != 200:
                problems.append(f"{response.status}: {answer[:300]!r}")
                break
            with lock:
                latencies.append(taken)
                for name, milliseconds in parse_server_timing(response.getheader("Server-Timing", "")).items():
                    stages.setdefault(name, []).append(milliseconds)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    cpu, began = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    if problems:
        raise RuntimeError(f"the service answered {problems[0]}")
    return Outcome(
        requests_per_second=len(latencies) / wall,
        median_ms=statistics.median(latencies),
        p95_ms=percentile(latencies, 0.95),
        stages_ms={name: statistics.median(values) for name, values in stages.items()},
        generator_cpu_share=cpu / wall,
    )


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value below which this fraction of all values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def parse_server_timing(header: str) -> dict[str, float]:
    """Milliseconds by stage from a ``Server-Timing`` header."""
    stages = {}
    for entry in header.split(","):
        name, _, parameters = entry.strip().partition(";")
        for parameter in parameters.split(";"):
            key, _, value = parameter.strip().partition("=")
            if key == "dur":
                stages[name] = float(value)
    return stages
