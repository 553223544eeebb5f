"""Bytes of memory a pixel that a large image takes in the service itself, from its body to its answer, over HTTP.

The service runs as `monolayer-serve` starts it, in a process of its own, and is measured from outside: the peak of its
resident memory (`VmHWM`, set back before the image is posted) above what it holds after a warm-up with small images
and one that is answered in windows. Processor seconds are the service's own. Linux only.

    python -m benchmarks.memory_service --side 8192
    python -m benchmarks.memory_service --side 8192 --kind scattered --compression none --model nuclei
    python -m benchmarks.memory_service --side 20000 --kind closed --compression none
"""

import argparse
import http.client
import re
import tempfile
from pathlib import Path

from benchmarks.memory import PITCH_PX, make_file
from benchmarks.server import running_service
from benchmarks.stand_in import CARD, write_bundle

WARM_UP_SIDES = (512, 2304)
"""The second one is answered in windows, with the largest tiles."""

HEAD_BYTES = 1 << 12
START_SECONDS = 120
TIMEOUT_SECONDS = 24 * 3600
COUNT = re.compile(rb'"count":(\d+)')


def main() -> None:
    arguments = parse_arguments()
    print("| image | file | network | answer | objects | idle MiB | peak MiB | bytes a pixel | processor s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for side in arguments.side:
        for kind in arguments.kind:
            for compression in arguments.compression:
                for form in arguments.form:
                    print(measure(kind, compression, form, arguments.model, side=side), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, nargs="+", default=[8192], help="height and width in pixels")
    parser.add_argument("--kind", nargs="+", choices=PITCH_PX, default=list(PITCH_PX), help="how the discs lie")
    parser.add_argument("--compression", nargs="+", choices=("none", "zlib"), default=["none", "zlib"])
    parser.add_argument(
        "--form", nargs="+", choices=("json", "csv", "table", "tiff", "overlay", "ndjson"), default=["json"]
    )
    parser.add_argument("--model", default=CARD.name, help="a shipped bundle instead of the stand-in")
    return parser.parse_args()


def measure(kind: str, compression: str, form: str, model: str, *, side: int) -> str:
    """One line of the table, of a service started for it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"MONOLAYER_SEGMENT_MODEL": model, "MONOLAYER_DEADLINE_SECONDS": str(TIMEOUT_SECONDS)}
        if model == CARD.name:
            settings["MONOLAYER_MODELS"] = str(write_bundle(Path(folder)).parent)
        with running_service(START_SECONDS, settings) as server:
            for warm_up_side in WARM_UP_SIDES:
                post(server.port, make_file(kind, compression, warm_up_side), form)
            body = make_file(kind, compression, side)
            idle, began = server.resident_bytes(), server.cpu_seconds()
            server.forget_peak()
            count = post(server.port, body, form)
            peak, seconds = server.peak_bytes(), server.cpu_seconds() - began
    cells = [f"{kind}, {side}²", compression, model, form, str(count)]
    cells += [f"{idle / 2**20:.0f}", f"{peak / 2**20:.0f}", f"{(peak - idle) / side**2:.1f}", f"{seconds:.0f}"]
    return f"| {' | '.join(cells)} |"


def post(port: int, body: bytes, form: str) -> int | str:
    """Number of objects where the answer tells it near its beginning; the answer is read in pieces and thrown away."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    path = f"/v1/segment?fallback=never&method=unet&format={form}"
    connection.request("POST", path, body=body, headers={"Content-Type": "image/tiff"})
    response = connection.getresponse()
    head = response.read(HEAD_BYTES)
    if response.status != 200:
        raise RuntimeError(f"the service answered {response.status}: {head[:300]!r}")
    while response.read(1 << 20):
        pass
    connection.close()
    found = COUNT.search(head)
    return int(found[1]) if found else ""


if __name__ == "__main__":
    main()
