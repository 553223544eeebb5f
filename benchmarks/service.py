"""Requests per second, milliseconds per stage and megapixels per second of the service, on this machine.

Starts the service as `monolayer-serve` does, posts PNG images of three sizes made of a real example picture, and, in
the same run, times the bare network on as many pixels, so that what the service adds can be seen.

    python -m benchmarks.service            about two minutes; writes benchmarks/results/service.md
"""

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from benchmarks.load import Outcome, post_images
from benchmarks.machine import describe

from monolayer_core.model_card import MODEL_NAME, read_card

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("decode", "queue", "prepare", "inference", "postprocess", "encode")
CASES = ((256, 1, 100), (256, 8, 200), (1024, 1, 20), (1024, 8, 40), (4096, 1, 4), (4096, 2, 4))


def main() -> None:
    arguments = parse_arguments()
    picture = cv2.imread(str(arguments.image), cv2.IMREAD_COLOR)
    if picture is None:
        sys.exit(f"{arguments.image} cannot be read")
    rows = []
    with running_service(arguments.start_seconds) as port:
        for side, clients, requests in CASES:
            body = encode_mosaic(picture, side)
            path = f"/v1/segment?method={arguments.method}&fallback=never"
            post_images(port, path, body, "image/png", clients=clients, requests=max(2, requests // 10))
            outcome = post_images(port, path, body, "image/png", clients=clients, requests=requests)
            rows.append((side, clients, outcome))
            print(format_row(side, clients, outcome), flush=True)
    bare = {} if arguments.method == "kmeans" else time_bare_network(arguments.bundle, sorted({row[0] for row in rows}))
    report = render(rows, bare, arguments.method)
    print("\n" + report)
    arguments.output.write_text(report, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--image",
        type=Path,
        default=ROOT / "examples" / "fluorescence_tissue.png",
        help="picture the images are made of",
    )
    parser.add_argument("--bundle", type=Path, default=ROOT / "service/monolayer_service/bundles/nuclei")
    parser.add_argument("--method", choices=("unet", "kmeans"), default="unet")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/service.md")
    parser.add_argument("--start-seconds", type=float, default=60, help="how long the service may take to be ready")
    return parser.parse_args()


def encode_mosaic(picture: npt.NDArray[np.uint8], side: int) -> bytes:
    """Repeat a picture, mirrored at its borders, until it fills a square; PNG."""
    height, width = picture.shape[:2]
    pad = ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0))
    square = np.pad(picture, pad, mode="symmetric")[:side, :side]
    return cv2.imencode(".png", square)[1].tobytes()


@contextlib.contextmanager
def running_service(start_seconds: float) -> Iterator[int]:
    """Run the service on a free port of the loopback until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "monolayer_service", "--host", "127.0.0.1", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() - began > start_seconds:
                sys.exit("the service did not become ready: run `monolayer-serve` to see why")
            time.sleep(0.05)
        print(f"ready after {time.perf_counter() - began:.1f} s", flush=True)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def time_bare_network(bundle: Path, sides: list[int]) -> dict[int, float]:
    """Median milliseconds of `session.run` on a square image of each side, tile by tile where the card's sides end."""
    card = read_card(bundle)
    times = {}
    for side in sides:
        tile = max((s for s in card.tile_sides if s <= side), default=card.tile_sides[0])
        options = ort.SessionOptions()
        for name, value in (("n", 1), ("height", tile), ("width", tile)):
            options.add_free_dimension_override_by_name(name, value)
        session = ort.InferenceSession(bundle / MODEL_NAME, options, providers=["CPUExecutionProvider"])
        batch = np.zeros((1, tile, tile, card.channel_count), np.uint8)
        session.run(None, {"image": batch})
        repeats = max(3, 20 * 256 * 256 // (tile * tile))
        durations = []
        for _ in range(repeats):
            began = time.perf_counter()
            session.run(None, {"image": batch})
            durations.append(1000 * (time.perf_counter() - began))
        times[side] = statistics.median(durations) * (side / tile) ** 2
    return times


def format_row(side: int, clients: int, outcome: Outcome) -> str:
    stages = " | ".join(f"{outcome.stages_ms.get(stage, 0.0):.1f}" for stage in STAGES)
    rate = outcome.requests_per_second
    return (
        f"| {side}² | {clients} | {rate:.2f} | {rate * side * side / 1e6:.2f} | {outcome.median_ms:.1f} "
        f"| {outcome.p95_ms:.1f} | {stages} | {100 * outcome.generator_cpu_share:.0f} % |"
    )


def render(rows: list[tuple[int, int, Outcome]], bare: dict[int, float], method: str) -> str:
    lines = [
        "# The service on one machine",
        "",
        describe(),
        "",
        f"`POST /v1/segment?method={method}` with a PNG, from decoding to run lengths; medians after a warm-up.",
        "The last column is the load generator's own processor time.",
        "",
        "| image | clients | requests/s | Mpx/s | median ms | p95 ms | "
        + " | ".join(f"{s} ms" for s in STAGES)
        + " | generator |",
        "| --- | " + "--- | " * (6 + len(STAGES)),
        *(format_row(*row) for row in rows),
    ]
    if bare:
        lines += [
            "",
            "The bare network (`session.run`, float32) in the same run:",
            "",
            "| image | ms | Mpx/s |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {side}² | {ms:.1f} | {side * side / 1000 / ms:.2f} |" for side, ms in bare.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
