"""The same images to every server, side after side, round after round."""

import contextlib
import http.client
import itertools
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare import BareNetwork
from benchmarks.load import Outcome, Post, post_all
from benchmarks.peers.sides import OURS, Side, start
from benchmarks.server import Server

CASES = ((256, 1), (256, 8), (1024, 8))
"""Image side in pixels and clients."""


@dataclass(frozen=True)
class Answered:
    """One round of one side in one case."""

    outcome: Outcome
    cpu_ms: float
    bare_per_second: float
    """Runs of the bare network a second, just before."""


@dataclass
class Found:
    """All rounds of one side; memory in bytes, once for each round, after all cases."""

    cases: dict[tuple[int, int], list[Answered]]
    memory: list[int]

    def median(self, case: tuple[int, int], value: Callable[[Answered], float]) -> float:
        return statistics.median(map(value, self.cases[case]))


def measure_sides(
    sides: Iterable[Side],
    pngs: Mapping[int, bytes],
    *,
    rounds: int,
    seconds: float,
    start_seconds: float,
    logs: Path,
) -> tuple[dict[str, Found], BareNetwork]:
    """Start each side by itself, the service first, and post to it; again in each round.

    The servers do not run at once, since some of them look for work all the time.

    Raises
    ------
    RuntimeError
        A server does not start, refuses, or finds other objects than the service.
    """
    sides = list(sides)
    found = {side.name: Found({case: [] for case in CASES}, []) for side in sides}
    bare: BareNetwork | None = None
    expected: dict[int, Any] = {}
    for number, side in itertools.product(range(rounds), sides):
        with start(side, bare, largest_side=max(pngs), start_seconds=start_seconds, logs=logs) as server:
            bare = bare or BareNetwork(server)
            for size, png in pngs.items():
                instances = instances_of(server, Post(side.path, png))
                if not agree(instances, expected.setdefault(size, instances), is_exact=side.is_exact):
                    raise RuntimeError(f"{side.name} finds other objects than {OURS}")
            for case in CASES:
                post = Post(side.path, pngs[case[0]])
                answered = measure_case(server, bare, post, case[1], seconds, counts_failures=bool(side.peer))
                found[side.name].cases[case].append(answered)
            found[side.name].memory.append(server.proportional_bytes())
        print(f"round {number + 1}: {side.name}", flush=True)
    if bare is None:
        raise ValueError("there is nothing to measure")
    return found, bare


def agree(instances: Sequence[Any], expected: Sequence[Any], *, is_exact: bool) -> bool:
    """Whether two answers hold the same objects, or as many."""
    return instances == expected if is_exact else len(instances) == len(expected)


def measure_case(
    server: Server, bare: BareNetwork, post: Post, clients: int, seconds: float, *, counts_failures: bool
) -> Answered:
    """Post until the time is over, after a warm-up and a look at the bare network."""
    post_all(server.port, [post] * max(4, clients), clients=clients, counts_failures=counts_failures)
    runs = bare.run_for(post.body, seconds / 2)
    cpu = server.cpu_seconds()
    outcome = post_all(
        server.port, itertools.repeat(post), clients=clients, seconds=seconds, counts_failures=counts_failures
    )
    return Answered(outcome, 1000 * (server.cpu_seconds() - cpu) / outcome.requests, runs.runs_per_second)


def instances_of(server: Server, post: Post) -> Any:  # noqa: ANN401 - JSON
    """The objects in one answer."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)) as connection:
        connection.request("POST", post.path, body=post.body, headers={"Content-Type": post.media_type})
        response = connection.getresponse()
        body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {body[:300]!r}")
    return json.loads(body)["instances"]
