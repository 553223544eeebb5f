"""How long a frame takes while a slide is being computed and how long alone, and what that costs the slide.

Frames are posted from one connection, one after the other, without and with a slide in flight.
([How requests share the network](../docs/adr/0013-requests-share-the-network.md).)
"""

import http.client
import itertools
import threading
import time

import numpy as np
import numpy.typing as npt
from benchmarks.load import Outcome, Post, post_all
from benchmarks.pictures import encode_grey_tiff, encode_mosaic
from benchmarks.server import Server
from benchmarks.targets import Figure

FRAME_SIDE = 256
PATH = "/v1/confluency?model=nuclei&fallback=never"
LOOK_EVERY_SECONDS = 0.01


class SlideInFlight:
    """One slide that was posted and whose tiles are in the network by now."""

    def __init__(self, server: Server, slide: Post, megapixels: float) -> None:
        self._outcome: Outcome | None = None
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._post, args=(server.port, slide))
        self._thread.start()
        while self.is_running and server.metric("monolayer_running_megapixels") < megapixels:
            time.sleep(LOOK_EVERY_SECONDS)
        while self.is_running and server.metric("monolayer_queued_tiles") == 0:
            time.sleep(LOOK_EVERY_SECONDS)

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

    def _post(self, port: int, slide: Post) -> None:
        try:
            self._outcome = post_all(port, [slide], clients=1)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            self._problem = error


def measure_fairness(server: Server, picture: npt.NDArray[np.uint8], *, slide_side: int, frames: int) -> Figure:
    """Post frames while a slide is in flight, and then as many alone.

    Raises
    ------
    RuntimeError
        The slide was done before a tenth of the frames were: it is too small.
    """
    frame = Post(PATH, encode_mosaic(picture, FRAME_SIDE))
    slide = Post(PATH, encode_grey_tiff(picture, slide_side), "image/tiff")
    post_all(server.port, [frame] * max(2, frames // 10), clients=1)
    flight = SlideInFlight(server, slide, slide_side**2 / 1e6)
    busy, began = server.metric("monolayer_network_busy_seconds_total"), time.perf_counter()
    in_flight = itertools.takewhile(lambda _: flight.is_running, itertools.repeat(frame, frames))
    beside = post_all(server.port, in_flight, clients=1)
    busy, wall = server.metric("monolayer_network_busy_seconds_total") - busy, time.perf_counter() - began
    slide_seconds = flight.seconds()
    if beside.requests < frames / 10:
        raise RuntimeError(f"the slide of {slide_side}² was done after {beside.requests} frames: take a larger one")
    alone = post_all(server.port, [frame] * beside.requests, clients=1)
    return Figure(
        beside.p99_ms / alone.p99_ms,
        f"{beside.p99_ms:.0f} of {alone.p99_ms:.0f} ms, medians {beside.median_ms:.0f} of {alone.median_ms:.0f} ms, "
        f"{beside.requests} frames each; the slide of {slide_side}² took {slide_seconds:.0f} s, "
        f"network busy {100 * busy / wall:.0f} %",
    )
