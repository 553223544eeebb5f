"""A large image against small ones, megapixel for megapixel, one client."""

import statistics

import numpy as np
import numpy.typing as npt
from benchmarks.load import Post, post_all
from benchmarks.pictures import encode_grey_tiff
from benchmarks.server import Server
from benchmarks.targets import Figure

SMALL_SIDE = 1024
LARGE_SIDE = 8192
PATH = "/v1/segment?fallback=never"
MEDIA_TYPE = "image/tiff"


def measure_large(server: Server, picture: npt.NDArray[np.uint8], *, side: int, small_requests: int) -> Figure:
    """Post one image of `side`² once, with half of the small ones before it and half after it."""
    small = Post(PATH, encode_grey_tiff(picture, SMALL_SIDE), MEDIA_TYPE)
    large = Post(PATH, encode_grey_tiff(picture, side), MEDIA_TYPE)
    half = max(1, small_requests // 2)
    small_ms, small_cpu = [], 0.0
    for part in (1, 2):
        cpu = server.cpu_seconds()
        small_ms += post_all(server.port, [small] * half, clients=1).latencies_ms
        small_cpu += server.cpu_seconds() - cpu
        if part == 1:
            cpu = server.cpu_seconds()
            large_ms = post_all(server.port, [large], clients=1).median_ms
            large_cpu = server.cpu_seconds() - cpu
    pixels = side**2 / SMALL_SIDE**2
    cpu_ratio = large_cpu / pixels / (small_cpu / len(small_ms))
    return Figure(
        large_ms / pixels / statistics.median(small_ms),
        f"{large_ms / 1000:.1f} s for {side}², {statistics.median(small_ms):.0f} ms for {SMALL_SIDE}², TIFF; "
        f"processor time {cpu_ratio:.2f}",
    )
