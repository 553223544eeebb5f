"""How long a frame takes while a slide is being computed and how long alone, and what that costs the slide.

Starts the service as `monolayer-serve` does, posts frames from one connection without and with a slide in flight, and
reads from the service's metrics how busy the network was. All in one run, so that the ratios mean something.

    python -m benchmarks.fairness           about a minute; writes benchmarks/results/fairness.md

On a machine so slow or busy that a slide runs out of time, raise MONOLAYER_DEADLINE_SECONDS.
"""

import argparse
import http.client
import re
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import cv2
from benchmarks.load import Outcome, post_images
from benchmarks.machine import describe
from benchmarks.service import ROOT, encode_mosaic, running_service

PATH = "/v1/confluency?model=nuclei&fallback=never"
MEDIA_TYPE = "image/png"


@dataclass(frozen=True)
class Measured:
    """Frames in one situation: how long they took, and the share of the time in which the network ran."""

    situation: str
    frames: Outcome
    utilisation: float


def main() -> None:
    arguments = parse_arguments()
    picture = cv2.imread(str(arguments.image), cv2.IMREAD_COLOR)
    if picture is None:
        sys.exit(f"{arguments.image} cannot be read")
    frame = encode_mosaic(picture, arguments.frame_side)
    slide = encode_mosaic(picture, arguments.slide_side)
    with running_service(arguments.start_seconds) as port:
        post_images(port, PATH, frame, MEDIA_TYPE, clients=1, requests=max(2, arguments.frames // 10))
        slide_alone = SlideInFlight(port, slide, arguments.slide_side).seconds()
        alone = measure(port, "alone", frame, arguments.frames)
        flight = SlideInFlight(port, slide, arguments.slide_side)
        beside = measure(port, "beside a slide", frame, arguments.frames)
        if not flight.is_running:
            sys.exit("the slide was done before the frames were: take a larger one with --slide-side")
        slide_beside = flight.seconds()
    report = render([alone, beside], slide_alone, slide_beside, arguments)
    print(report)
    arguments.output.write_text(report, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--image",
        type=Path,
        default=ROOT / "examples" / "fluorescence_tissue.png",
        help="picture that frames and slide are made of",
    )
    parser.add_argument("--frame-side", type=int, default=256, help="pixels")
    parser.add_argument("--slide-side", type=int, default=8192, help="pixels")
    parser.add_argument("--frames", type=int, default=40, help="how many are measured in each situation")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/fairness.md")
    parser.add_argument("--start-seconds", type=float, default=60, help="how long the service may take to be ready")
    return parser.parse_args()


class SlideInFlight:
    """One slide that was posted and whose tiles are in the network by now."""

    def __init__(self, port: int, body: bytes, side: int) -> None:
        self._outcome: Outcome | None = None
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._post, args=(port, body))
        self._thread.start()
        while self.is_running and read_metric(port, "monolayer_running_megapixels") < side * side / 1e6:
            time.sleep(0.01)
        while self.is_running and read_metric(port, "monolayer_queued_tiles") == 0:
            time.sleep(0.01)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def seconds(self) -> float:
        """How long it took, waited for here.

        Raises
        ------
        RuntimeError
            It was not answered.
        """
        self._thread.join()
        if self._outcome is None:
            raise RuntimeError(f"the slide was not answered: {self._problem}")
        return self._outcome.median_ms / 1000

    def _post(self, port: int, body: bytes) -> None:
        try:
            self._outcome = post_images(port, PATH, body, MEDIA_TYPE, clients=1, requests=1)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            self._problem = error


def measure(port: int, situation: str, frame: bytes, frames: int) -> Measured:
    """Post frames one after the other and read how busy the network was meanwhile."""
    busy, began = read_metric(port, "monolayer_network_busy_seconds_total"), time.perf_counter()
    outcome = post_images(port, PATH, frame, MEDIA_TYPE, clients=1, requests=frames)
    busy, wall = read_metric(port, "monolayer_network_busy_seconds_total") - busy, time.perf_counter() - began
    return Measured(situation, outcome, busy / wall)


def read_metric(port: int, name: str) -> float:
    """The value of a metric without labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        found = re.search(rf"^{name} (\S+)$", response.read().decode(), re.MULTILINE)
    if found is None:
        raise ValueError(f"the service has no metric {name}")
    return float(found[1])


def render(rows: list[Measured], slide_alone: float, slide_beside: float, arguments: argparse.Namespace) -> str:
    lines = [
        "# Frames beside a slide",
        "",
        describe(),
        "",
        f"`POST {PATH}`: {arguments.frames} PNG frames of {arguments.frame_side}² pixels, one after the other,",
        f"without and with a slide of {arguments.slide_side}² in flight. Compare ratios, not milliseconds.",
        "",
        "| frames | median ms | p95 ms | requests/s | network busy |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row.situation} | {row.frames.median_ms:.1f} | {row.frames.p95_ms:.1f} "
            f"| {row.frames.requests_per_second:.2f} | {100 * row.utilisation:.0f} % |"
            for row in rows
        ),
        "",
        f"The slide took {slide_alone:.1f} s alone and {slide_beside:.1f} s with these frames beside it.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
