"""A microscope that steers on the service's counts: look at one field after the other until enough cells were seen.

The next field is the unvisited neighbour of the fullest field so far, so that the search stays where cells are. It runs
as it is on Micro-Manager's demo camera, without a microscope:

    pip install "./clients[microscope]" mm-test-adapters
    monolayer-serve &
    python examples/closed_loop.py --target 200
"""

import argparse
import queue
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import useq
from pymmcore_plus import CMMCorePlus

from monolayer_client.client import Client
from monolayer_client.microscope.frame import FrameFailure, FrameResult
from monolayer_client.microscope.poster import FramePoster
from monolayer_client.microscope.pymmcore_hook import PymmcoreHook

Field = tuple[int, int]
"""Row and column of a field of view, from that where the search began."""


@dataclass
class Search:
    """Counts by field, and which field comes next."""

    target: int
    max_fields: int
    counts: dict[Field, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cells seen so far."""
        return sum(self.counts.values())

    def next_field(self) -> Field | None:
        """Give the next field; None when enough cells or fields were seen."""
        if self.total >= self.target or len(self.counts) >= self.max_fields:
            return None
        for row, column in sorted(self.counts, key=lambda each: -self.counts[each]):
            for near in ((row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column)):
                if near not in self.counts:
                    return near
        return (0, 0)


def run(core: Any, client: Client, search: Search, *, channel: str, exposure_ms: float = 10.0) -> list[FrameResult]:  # noqa: ANN401
    """Take fields until the search is over; give the answers in the order of the frames."""
    arrived: queue.Queue[FrameResult | FrameFailure] = queue.Queue()
    results: list[FrameResult] = []
    step_um = core.getPixelSizeUm() * core.getImageWidth()

    def events() -> Iterator[useq.MDAEvent]:
        while (place := search.next_field()) is not None:
            row, column = place
            yield useq.MDAEvent(
                index={"p": len(results)},
                channel=channel,
                exposure=exposure_ms,
                x_pos=column * step_um,
                y_pos=row * step_um,
                pos_name=f"row {row}, column {column}",
            )
            answer = arrived.get()
            if isinstance(answer, FrameFailure):
                raise answer.error
            results.append(answer)
            search.counts[place] = answer.result.count

    with (
        FramePoster(client, arrived.put, on_failure=arrived.put, when_full="wait", model="nuclei") as poster,
        PymmcoreHook(core, poster),
    ):
        core.mda.run(events())
    return results


def main() -> None:
    """Search on the demo microscope."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--target", type=int, default=200, help="cells to be seen")
    parser.add_argument("--max-fields", type=int, default=50)
    arguments = parser.parse_args()
    core = CMMCorePlus()
    core.loadSystemConfiguration()  # without an argument: the demo
    core.setProperty("Camera", "Mode", "Fluorescent Beads")
    search = Search(arguments.target, arguments.max_fields)
    with Client(arguments.url) as client:
        results = run(core, client, search, channel="DAPI")
    report(search, results)


def report(search: Search, results: list[FrameResult]) -> None:
    """Print what was seen, and how long answers took."""
    for each in results:
        print(f"{each.metadata.position}: {each.result.count} cells, answered in {1000 * each.latency_s:.0f} ms")
    print(f"{search.total} of {search.target} cells in {len(search.counts)} fields")
    if results:
        latencies_ms = [1000 * each.latency_s for each in results]
        print(f"frame to answer: median {statistics.median(latencies_ms):.0f} ms, longest {max(latencies_ms):.0f} ms")


if __name__ == "__main__":
    main()
