"""The service on the device: from its start to what it holds after images of many shapes."""

import itertools
import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.gpu.device import DeviceName, memory_mib
from benchmarks.load import Post, post_all
from benchmarks.server import Server, running_service
from benchmarks.throughput import PATH, Served, serve_for

from monolayer_service.segmenters.runtime import CPU, CUDA


class Case(NamedTuple):
    """Side of the images in pixels, and connections that each wait for their answer."""

    side: int
    clients: int

    @property
    def megapixels(self) -> float:
        """Of one image."""
        return self.side**2 / 1e6

    def __str__(self) -> str:
        return f"{self.side}², {self.clients} connection{'s' * (self.clients > 1)}"


LOG_LINES = 20

FAULTS = ("half_batch", "cpu", "kmeans", "refused")

CASES = tuple(itertools.starmap(Case, itertools.product((256, 1024), (1, 8, 32))))


@dataclass
class Found:
    """One service: its start, the cases, and the memory of the device and of the process by moment, in MiB.

    `batches` are the mean tiles in a run of the network, `faults` how often one failed, by what was done next.
    """

    ready_seconds: float
    provider: str
    cases: dict[Case, Served] = field(default_factory=dict)
    batches: dict[Case, float] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    memory: dict[str, tuple[int | None, int]] = field(default_factory=dict)


def measure_service(
    environment: Mapping[str, str],
    pngs: Mapping[int, bytes],
    cases: Sequence[Case],
    *,
    device: DeviceName,
    seconds: float,
    start_seconds: float,
    shapes: Sequence[Post] = (),
    repeats: int = 2,
) -> Found:
    """Start a service, post images of each case for `seconds` after a warm-up, then `shapes` so many times over.

    Raises
    ------
    RuntimeError
        It was not ready in time, does not run on the device, or refused a request.
    """
    empty = memory_mib()
    with logged_service(start_seconds, environment) as server:
        found = Found(server.ready_seconds, provider_of(server))
        if found.provider != (CUDA if device == "cuda" else CPU):
            raise RuntimeError(f"the service runs on {found.provider}")

        def look(moment: str) -> None:
            taken = memory_mib()
            of_device = None if taken is None or empty is None else taken - empty
            found.memory[moment] = of_device, server.resident_bytes() >> 20

        look("ready")
        for case in cases:
            post = Post(PATH, pngs[case.side])
            post_all(server.port, [post] * 2 * case.clients, clients=case.clients)
            runs, tiles = batch_counts(server)
            found.cases[case] = serve_for(server, post, case.clients, seconds)
            runs_after, tiles_after = batch_counts(server)
            found.batches[case] = (tiles_after - tiles) / (runs_after - runs)
            outcome = found.cases[case].outcome
            print(f"{case}: {outcome.requests_per_second:.1f} images/s, median {outcome.median_ms:.1f} ms", flush=True)
        look("after this load")
        for number in range(repeats if shapes else 0):
            post_all(server.port, shapes, clients=4)
            look(f"after {(number + 1) * len(shapes)} requests of {len(shapes)} shapes")
        text = metrics_of(server)
        found.faults = {step: int(sum_of(text, f'monolayer_faults_total{{next="{step}"')) for step in FAULTS}
    return found


@contextmanager
def logged_service(start_seconds: float, environment: Mapping[str, str]) -> Iterator[Server]:
    """See `running_service`; what goes wrong is told with the end of the service's log."""
    with TemporaryDirectory(prefix="monolayer-log-") as folder:
        log = Path(folder) / "service.log"
        try:
            with running_service(start_seconds, environment, log=log) as server:
                yield server
        except RuntimeError as error:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            raise RuntimeError("\n".join([str(error), *last])) from error


def provider_of(server: Server) -> str:
    """What the service says its default network runs on."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/models/nuclei", timeout=30) as response:
        return str(json.load(response)["provider"])


def metrics_of(server: Server) -> str:
    """All metrics of a service in Prometheus' text format."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30) as response:
        return str(response.read().decode())


def batch_counts(server: Server) -> tuple[float, float]:
    """Runs of networks so far, and the tiles in them."""
    text = metrics_of(server)
    return sum_of(text, "monolayer_batch_size_tiles_count"), sum_of(text, "monolayer_batch_size_tiles_sum")


def sum_of(text: str, name: str) -> float:
    """Sum of the values of all metrics whose names begin so, labels included; 0 where there is none.

    Examples
    --------
    >>> sum_of('runs_count{side="256"} 3.0\nruns_count{side="512"} 2.0\nruns_sum{side="256"} 7.0\n', "runs_count")
    5.0
    """
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


@contextmanager
def alone_in_folder(bundle: Path) -> Iterator[Path]:
    """A folder of bundles that holds only this one."""
    with TemporaryDirectory(prefix="monolayer-bundles-") as folder:
        copytree(bundle, Path(folder) / bundle.name)
        yield Path(folder)
