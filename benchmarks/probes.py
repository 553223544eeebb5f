"""What the platform's probes see: a process of its own asks, so that no load generator's threads hold it up."""

import contextlib
import http.client
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event

PATHS = ("/livez", "/readyz")
PROBE_TIMEOUT_SECONDS = 30


class Probing:
    """Probes under way.

    Attributes
    ----------
    milliseconds
        Of each probe; infinite where it was not answered with 200. There once the block of `probing` has ended.
    """

    def __init__(self) -> None:
        self.milliseconds: list[float] = []


@contextlib.contextmanager
def probing(port: int, every_seconds: float) -> Iterator[Probing]:
    """Probe again and again until the block ends, each time over a new connection as platforms do."""
    context = multiprocessing.get_context("spawn")
    ends = context.Event()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_probe_until, args=(ends, sender, port, every_seconds))
    found = Probing()
    process.start()
    receiver.recv()  # it is up
    try:
        yield found
    finally:
        ends.set()
        found.milliseconds += receiver.recv()
        process.join()


def probe(port: int, path: str) -> float:
    """Milliseconds until 200 is there; infinite where it is not."""
    began = time.perf_counter()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_SECONDS)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return float("inf")
    return 1000 * (time.perf_counter() - began) if response.status == 200 else float("inf")


def _probe_until(ends: Event, sender: "multiprocessing.connection.Connection", port: int, every_seconds: float) -> None:
    sender.send("up")
    found = []
    while not ends.is_set():
        found += [probe(port, path) for path in PATHS]
        ends.wait(every_seconds)
    sender.send(found)
