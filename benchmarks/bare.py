"""The network by itself: a run of the file that the service runs, in a session of the service's own options."""

import json
import statistics
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmarks.server import Server

from monolayer_core.image_io import decode_image
from monolayer_core.model_card import ModelCard, read_card
from monolayer_core.pipeline import prepare
from monolayer_service.compute import plan_compute
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings


@dataclass(frozen=True)
class BareRuns:
    """Runs one after the other: their number, wall time and processor time, and each one's duration."""

    durations_ms: list[float]
    wall_seconds: float
    cpu_seconds: float

    @property
    def runs_per_second(self) -> float:
        return len(self.durations_ms) / self.wall_seconds

    @property
    def median_ms(self) -> float:
        return statistics.median(self.durations_ms)

    @property
    def cpu_ms(self) -> float:
        """Processor time of one run, in milliseconds."""
        return 1000 * self.cpu_seconds / len(self.durations_ms)


class BareNetwork:
    """The network that a running service answers `/v1/segment` with."""

    def __init__(self, server: Server) -> None:
        settings = Settings()
        self.bundle = settings.models / settings.segment_model
        self.card = read_card(self.bundle)
        threads = plan_compute(settings).network_threads
        self.threads = threads.alone
        self.file = served_file(self.bundle, self.card, server)
        self.network = Network(
            self.file,
            (self.bundle / self.file).read_bytes(),
            self.card,
            prefer_cuda=False,
            threads=threads,
            cpu_runtime=settings.cpu_runtime,
        )

    def run_for(self, png: bytes, seconds: float) -> BareRuns:
        """Run on one image, as one tile, until `seconds` have passed; one more run before warms up."""
        tile = prepare(decode_image(png).pixels, self.card)[np.newaxis]
        self.network.run(tile)
        return time_runs(lambda: self.network.run(tile), seconds)


def time_runs(run: Callable[[], npt.NDArray[np.uint8]], seconds: float) -> BareRuns:
    """Call `run` until `seconds` have passed, at least once."""
    durations = []
    cpu, began = time.process_time(), time.perf_counter()
    now = began
    while not durations or now - began < seconds:
        run()
        before, now = now, time.perf_counter()
        durations.append(1000 * (now - before))
    return BareRuns(durations, now - began, time.process_time() - cpu)


def served_file(bundle: Path, card: ModelCard, server: Server) -> str:
    """Name of the file that answers, by the digest the service gives for its model."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/models/{card.name}", timeout=30) as response:
        precision = json.load(response)["precision"]
    files = card.files_of(precision)
    if files is None:
        raise RuntimeError(f"{bundle} has no {precision} network")
    return files[0]
