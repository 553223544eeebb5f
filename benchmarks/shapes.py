"""Resident memory while images of many shapes come and go."""

import itertools
import time

import numpy as np
import numpy.typing as npt
from benchmarks.load import Post, post_all
from benchmarks.pictures import encode_png, make_mosaic
from benchmarks.server import Server
from benchmarks.targets import Figure

SHAPES = 200
LARGE_SHAPES = 10
CLIENTS = 4
PATH = "/v1/segment?fallback=never"


def choose_shapes(count: int, large: int, seed: int = 0) -> list[tuple[int, int]]:
    """Different heights and widths: frames of up to 300 pixels, of which `large` are of up to 1100 instead."""
    rng = np.random.default_rng(seed)
    shapes: dict[tuple[int, int], None] = {}
    while len(shapes) < count:
        low, high = (300, 1100) if len(shapes) < large else (16, 300)
        height, width = rng.integers(low, high, 2, endpoint=True).tolist()
        shapes[height, width] = None
    found = list(shapes)
    return [found[index] for index in rng.permutation(count)]


def posts_of_shapes(picture: npt.NDArray[np.uint8], count: int = SHAPES, large: int = LARGE_SHAPES) -> list[Post]:
    """One request for each shape of `choose_shapes`."""
    return [Post(PATH, encode_png(make_mosaic(picture, *shape))) for shape in choose_shapes(count, large)]


def measure_shapes(server: Server, picture: npt.NDArray[np.uint8], *, requests: int, idle_seconds: float) -> Figure:
    """Post every shape once, then again until there were so many requests; the memory after against before.

    What grows is what the runtime keeps for its largest runs: how large they become depends on which tiles meet in the
    network. So what is left when the service has given that back, `idle_seconds` and one look later, is told besides.
    """
    posts = posts_of_shapes(picture)
    start = server.resident_bytes()
    post_all(server.port, posts, clients=CLIENTS)
    before = server.resident_bytes()
    outcome = post_all(server.port, itertools.islice(itertools.cycle(posts), requests - SHAPES), clients=CLIENTS)
    after = server.resident_bytes()
    total = SHAPES + outcome.requests
    time.sleep(2.5 * idle_seconds)
    sizes = [f"{size >> 20} MiB" for size in (before, after, server.resident_bytes(), start)]
    return Figure(
        after / before,
        f"{sizes[0]} after {SHAPES}, {sizes[1]} after {total}; {sizes[2]} when idle again, {sizes[3]} before all",
    )
