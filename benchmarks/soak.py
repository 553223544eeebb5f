"""Thousands of requests of every kind at one service: what grows, what is answered wrongly, what errors are logged.

Requests come in blocks over four connections. After each block, when nothing is in work, the service's resident memory,
open files and threads are noted. The first fifth of the blocks warms up; through the rest goes a straight line.

    python -m benchmarks.soak --count 20000 --output benchmarks/results         what `make soak` runs; soak.md
    python -m benchmarks.soak --count 2000                      a look; memory has not settled after so few
"""

import argparse
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errands import make_errands, run_errands
from benchmarks.machine import describe
from benchmarks.pictures import read_picture
from benchmarks.places import EXAMPLES
from benchmarks.server import Server, running_service
from benchmarks.server_log import bad_lines
from benchmarks.tables import mark, markdown_table
from benchmarks.targets import SOAK_TARGETS, Figure, target_table
from benchmarks.trend import fit_trend

CLIENTS = 4
BLOCKS = 100
WARM_UP_SHARE = 0.2
QUIET_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.02
LOOKS = 10
"""How often files and threads are counted after a block: closing a connection takes the service a moment."""

MEASURED = """\
Every tenth request is a question, a submission, a mistake, or a caller who hangs up; the rest are images of 200 shapes
in five formats and three forms of the body, to the network and to K-means. An interval is that of the slope of a
straight line, at 95 %, with neighbouring samples counted as alike as they are; growth is the end of it that is nearer
to zero."""


@dataclass(frozen=True)
class Sample:
    """The service between two blocks."""

    requests: int
    resident_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Soak:
    """A whole run."""

    samples: list[Sample]
    done: Counter[str]
    surprises: list[str]
    bad_lines: list[str]


def main() -> None:
    arguments = parse_arguments()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "service.log"
        with running_service(arguments.start_seconds, log=log) as server:
            soak = soak_service(server, log, arguments.image, count=arguments.count, seed=arguments.seed)
    for surprise in itertools.chain(soak.surprises[:20], soak.bad_lines[:20]):
        print(surprise)
    report = render(soak, seconds=time.perf_counter() - began)
    print(f"\n{report}")
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "soak.md").write_text(report, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="requests")
    parser.add_argument("--seed", type=int, default=0, help="of their order")
    parser.add_argument("--image", type=Path, default=EXAMPLES / "fluorescence_tissue.png", help="what images are of")
    parser.add_argument("--start-seconds", type=float, default=60, help="how long the service may take to be ready")
    parser.add_argument("--output", type=Path, help="folder for the table; without it it is not kept")
    return parser.parse_args()


def soak_service(server: Server, log: Path, image: Path, *, count: int, seed: int = 0) -> Soak:
    """Run `count` errands in blocks at a service that writes to `log`."""
    errands = make_errands(read_picture(image), count=count, seed=seed)
    soak = Soak([], Counter(), [], [])
    for size in block_sizes(count):
        block = run_errands(server.port, itertools.islice(errands, size), clients=CLIENTS)
        soak.done.update(block.done)
        soak.surprises.extend(block.surprises)
        soak.samples.append(take_sample(server, soak.done.total()))
        if len(soak.samples) % 10 == 0:
            latest = soak.samples[-1]
            print(f"{latest.requests} requests, {latest.resident_bytes >> 20} MiB", flush=True)
    soak.bad_lines.extend(bad_lines(log))
    return soak


def block_sizes(count: int) -> Iterator[int]:
    """Divide into blocks as alike as they can be, none of them empty.

    Examples
    --------
    >>> sizes = list(block_sizes(250))
    >>> len(sizes), sum(sizes), max(sizes)
    (100, 250, 3)
    """
    blocks = min(BLOCKS, count)
    for number in range(blocks):
        yield count * (number + 1) // blocks - count * number // blocks


def take_sample(server: Server, requests: int) -> Sample:
    """Look at the service as soon as nothing is in work.

    Raises
    ------
    RuntimeError
        Something still was after a minute.
    """
    began = time.perf_counter()
    while server.metric("monolayer_running_requests") + server.metric("monolayer_waiting_requests") > 0:
        if time.perf_counter() - began > QUIET_SECONDS:
            raise RuntimeError("requests are in work that nobody waits for")
        time.sleep(LOOK_EVERY_SECONDS)
    descriptors, threads = [], []
    for _ in range(LOOKS):
        time.sleep(LOOK_EVERY_SECONDS)
        descriptors.append(server.descriptors())
        threads.append(server.threads())
    return Sample(requests, server.resident_bytes(), min(descriptors), min(threads))


def figures(soak: Soak) -> dict[str, Figure]:
    """What is to be judged."""
    samples = soak.samples[int(WARM_UP_SHARE * len(soak.samples)) :]
    thousands = [sample.requests / 1000 for sample in samples]

    def growth(values: Sequence[float], unit: str) -> Figure:
        trend = fit_trend(thousands, values)
        measured = f"{trend.slope:+.2f} ± {trend.half_width:.2f} {unit}".rstrip()
        return Figure(
            trend.least_growth, f"{measured}; from {values[0]:.0f} to {values[-1]:.0f}, at most {max(values):.0f}"
        )

    return {
        "memory_growth": growth([sample.resident_bytes / 2**10 for sample in samples], "KiB"),
        "file_growth": growth([sample.descriptors for sample in samples], ""),
        "thread_growth": growth([sample.threads for sample in samples], ""),
        "surprises": Figure(len(soak.surprises), f"of {soak.done.total()} requests"),
        "bad_lines": Figure(len(soak.bad_lines), "lines of level error, or no JSON"),
    }


def render(soak: Soak, seconds: float) -> str:
    """The document: what it was measured on, the targets, and what was sent."""
    kinds = markdown_table(("kind", "requests"), [(kind, str(count)) for kind, count in sorted(soak.done.items())])
    parts = ["# A soak", f"{describe()}  \n{soak.done.total()} requests in {seconds / 60:.0f} minutes", MEASURED]
    parts += [mark("soak", target_table(figures(soak), SOAK_TARGETS)), "## What was sent", kinds]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
