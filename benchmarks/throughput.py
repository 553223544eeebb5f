"""Requests per second and milliseconds per stage, with the bare network timed in between.

Rounds go through all cases in turn: what else runs on the machine meets both sides alike, and the median of the rounds'
ratios leaves out the round it disturbed.
"""

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from benchmarks.bare import BareNetwork, BareRuns
from benchmarks.load import Outcome, Post, post_all
from benchmarks.pictures import encode_mosaic
from benchmarks.server import Server
from benchmarks.targets import Figure

SIDES = (256, 1024)
CLIENTS = (1, 8)
PATH = "/v1/segment?fallback=never"

Element = TypeVar("Element")


@dataclass(frozen=True)
class Served:
    """One round of one case: the answers, the server's processor time, and the time its network ran.

    `loop_seconds` is what of the processor time the thread of the event loop took.
    """

    outcome: Outcome
    cpu_seconds: float
    loop_seconds: float
    busy_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Processor time of one request, in milliseconds."""
        return 1000 * self.cpu_seconds / self.outcome.requests

    @property
    def loop_ms(self) -> float:
        """Of that, the event loop's."""
        return 1000 * self.loop_seconds / self.outcome.requests

    @property
    def busy_share(self) -> float:
        """Share of the time in which the network ran."""
        return self.busy_seconds / self.outcome.wall_seconds


@dataclass(frozen=True)
class Throughput:
    """Rounds of the bare network by image side, and of the service by image side and number of clients."""

    bare: dict[int, list[BareRuns]]
    served: dict[tuple[int, int], list[Served]]

    def median(self, case: tuple[int, int], value: Callable[[Served], float]) -> float:
        """Of one case, over the rounds."""
        return statistics.median(map(value, self.served[case]))

    def compare(self, case: tuple[int, int], value: Callable[[Served, BareRuns], float]) -> float:
        """Median over the rounds of what comes of the two sides of one round."""
        rounds = zip(self.served[case], self.bare[case[0]], strict=True)
        return statistics.median(value(served, bare) for served, bare in rounds)

    def stages_ms(self, case: tuple[int, int]) -> dict[str, float]:
        """Median of each stage that the service names, over the rounds' medians."""
        rounds = [served.outcome.stages_ms for served in self.served[case]]
        return {name: statistics.median(stages.get(name, 0.0) for stages in rounds) for name in rounds[0]}


def measure_throughput(
    server: Server, bare: BareNetwork, picture: npt.NDArray[np.uint8], *, rounds: int, seconds: float
) -> Throughput:
    """Measure every case for `seconds` in each of `rounds`, after a warm-up."""
    pngs = {side: encode_mosaic(picture, side) for side in SIDES}
    for side, clients in itertools.product(SIDES, CLIENTS):
        post_all(server.port, [Post(PATH, pngs[side])] * 2 * clients, clients=clients)
        bare.run_for(pngs[side], 0)
    found = Throughput({side: [] for side in SIDES}, {case: [] for case in itertools.product(SIDES, CLIENTS)})
    for _ in range(rounds):
        for side in SIDES:
            found.bare[side].append(bare.run_for(pngs[side], seconds))
            for clients in CLIENTS:
                found.served[side, clients].append(serve_for(server, Post(PATH, pngs[side]), clients, seconds))
    return found


def serve_for(server: Server, post: Post, clients: int, seconds: float) -> Served:
    """Post one image again and again until `seconds` have passed."""
    before = _clocks(server)
    outcome = post_all(server.port, itertools.repeat(post), clients=clients, seconds=seconds)
    return Served(outcome, *(after - first for after, first in zip(_clocks(server), before, strict=True)))


def _clocks(server: Server) -> tuple[float, float, float]:
    busy = server.metric("monolayer_network_busy_seconds_total")
    return server.cpu_seconds(), server.main_thread_cpu_seconds(), busy


def figures(found: Throughput) -> dict[str, Figure]:
    """What the targets ask of requests of one tile."""
    figures = {}
    for side in SIDES:
        case = (side, 8)
        rate = found.median(case, lambda served: served.outcome.requests_per_second)
        bare_rate = statistics.median(runs.runs_per_second for runs in found.bare[side])
        figures[f"tiles_{side}"] = Figure(
            found.compare(case, lambda served, bare: served.outcome.requests_per_second / bare.runs_per_second),
            f"{rate:.2f} of {bare_rate:.2f} tiles/s; network busy {100 * found.median(case, _busy):.0f} %",
        )
        cpu_ms = found.median(case, lambda served: served.cpu_ms)
        bare_cpu_ms = statistics.median(runs.cpu_ms for runs in found.bare[side])
        figures[f"cpu_{side}"] = Figure(
            100 * found.compare(case, lambda served, bare: 1 - bare.cpu_ms / served.cpu_ms),
            f"{cpu_ms:.1f} ms a request, {bare_cpu_ms:.1f} ms a bare run",
        )
    single = found.median((256, 1), lambda served: served.outcome.median_ms)
    bare_ms = statistics.median(runs.median_ms for runs in found.bare[256])
    figures["single_256"] = Figure(
        found.compare((256, 1), lambda served, bare: served.outcome.median_ms - bare.median_ms),
        f"{single:.1f} ms, bare {bare_ms:.1f} ms",
    )
    rates = {
        clients: found.median((1024, clients), lambda served: served.outcome.requests_per_second) * 1024**2 / 1e6
        for clients in CLIENTS
    }
    figures["pace_1024"] = Figure(rates[8], f"8 clients; one client {rates[1]:.2f} Mpx/s")
    return figures


def _busy(served: Served) -> float:
    return served.busy_share
