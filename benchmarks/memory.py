"""Bytes of memory a pixel that a large image takes, from the file's bytes to the answer's, above the idle process.

A stand-in takes the network's place: it costs nothing and needs no model, so what is measured is everything around the
network. Each case runs in a process of its own, after a small image has loaded whatever is loaded on first use.
`benchmarks.memory_service` measures the service itself.

    python -m benchmarks.memory --side 4096 8192
"""

import argparse
import ctypes
import gc
import io
import os
import subprocess
import sys
import time

import cv2
import numpy as np
import psutil
import tifffile
from benchmarks.server import forget_peak, peak_bytes
from benchmarks.stand_in import CARD, stand_in

from monolayer_core.image_io import decode_image, open_image
from monolayer_core.pipeline import segment
from monolayer_core.window_pipeline import interpret_windows, predict_windows
from monolayer_service.analysis import Analysis, NamedImage
from monolayer_service.cancellation import Cancellation
from monolayer_service.forms import render_segmentation
from monolayer_service.options import Options

PITCH_PX = {"scattered": 34, "closed": 20}
"""Distance of the discs, of about 22 pixels each: apart from one another, or one layer from edge to edge."""

WAYS = ("rows", "decoded", "whole")
"""Read by rows, as the service does; in windows of a decoded image; and as a whole, as small images are."""


def main() -> None:
    arguments = parse_arguments()
    if arguments.case is not None:
        print(measure(*arguments.case, side=arguments.side[0]), flush=True)
        return
    print("| image | file | way | objects | bytes a pixel | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for side in arguments.side:
        for kind in PITCH_PX:
            for compression in ("none", "zlib"):
                for way in arguments.way:
                    case = [sys.executable, "-m", "benchmarks.memory", "--side", str(side)]
                    subprocess.run([*case, "--case", kind, compression, way], check=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, nargs="+", default=[4096], help="height and width in pixels")
    parser.add_argument("--way", nargs="+", choices=WAYS, default=["rows"], help="how the image is looked at")
    parser.add_argument("--case", nargs=3, metavar=("KIND", "COMPRESSION", "WAY"), help="measure in this process")
    return parser.parse_args()


def measure(kind: str, compression: str, way: str, *, side: int) -> str:
    """One line of the table."""
    answer(make_file(kind, compression, 512), way)
    body = make_file(kind, compression, side)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    idle = psutil.Process().memory_info().rss - len(body)
    forget_peak(os.getpid())
    began = time.perf_counter()
    count = answer(body, way)
    seconds = time.perf_counter() - began
    per_pixel = (peak_bytes(os.getpid()) - idle) / side**2
    return f"| {kind}, {side}² | {compression} | {way} | {count} | {per_pixel:.1f} | {seconds:.0f} |"


def answer(body: bytes, way: str) -> int:
    """Number of objects in an answer that was written in full."""
    image = open_image(body) if way == "rows" else decode_image(body)
    if way == "whole":
        found = segment(image.pixels, CARD, stand_in)
    else:
        found = interpret_windows(predict_windows(image.rows, CARD, stand_in), CARD)
    analysis = Analysis(NamedImage(image, "image", ""), found, None, None, "nucleus")
    written = render_segmentation(analysis, Options(), "json", Cancellation())
    if not written.endswith(b"}"):
        raise RuntimeError("the answer is no JSON object")
    return found.runs.count


def make_file(kind: str, compression: str, side: int) -> bytes:
    """A grey TIFF of discs, brighter towards their middle, with some noise."""
    rng = np.random.default_rng(0)
    image = np.zeros((side, side), dtype=np.uint8)
    discs = [
        (x + int(shift[0]), y + int(shift[1]), 11 + int(shift[2]) // 2)
        for y in range(PITCH_PX[kind] // 2, side, PITCH_PX[kind])
        for x, shift in zip(
            range(y % PITCH_PX[kind], side, PITCH_PX[kind]), rng.integers(-3, 4, (side, 3)), strict=False
        )
    ]
    for level, inset in ((200, 0), (215, 5), (230, 8)):
        for x, y, radius in discs:
            cv2.circle(image, (x, y), radius - inset, level, -1)
    for top in range(0, side, 256):
        rows = image[top : top + 256]
        rows += rng.integers(0, 8, rows.shape, dtype=np.uint8)
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, rowsperstrip=64, compression=None if compression == "none" else compression)
    return stream.getvalue()


if __name__ == "__main__":
    main()
