"""Networks that go on when told to, and requests for a scheduler: nothing sleeps."""

import threading

import numpy as np

from monolayer_service.cancellation import Cancellation
from monolayer_service.scheduler.tile_queue import TileOutcome

SECONDS = 30
"""How long a test waits for what must come; none waits that long unless it fails."""


class Engine:
    """Adds one to every pixel; holds every run until it is let go, where `is_held`."""

    def __init__(self, limit=1, *, is_held=False):
        self.limit = limit
        self.batches = []
        self.alone = []
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.is_held = is_held
        self.fail = lambda tiles: None

    def batch_limit(self, device, tile_px):
        return self.limit

    def run(self, tiles, device, *, alone):
        self.batches.append(tiles[:, 0, 0, 0].tolist())
        self.alone.append(alone)
        self.entered.release()
        if self.is_held:
            assert self.let_go.acquire(timeout=SECONDS)
        self.fail(tiles)
        return [TileOutcome(tile[np.newaxis] + 1, device) for tile in tiles]


def tiles(*values, side=4):
    return (np.full((1, side, side, 1), value, np.uint8) for value in values)


def values(answers):
    return [int(answer[0, 0, 0, 0]) for answer in answers]


def ask(scheduler, engine, *pixel_values, cancellation=None, work=None, done=None):
    """One request: its tiles through the scheduler, in the caller's thread."""
    total = 16 * len(pixel_values) if work is None else work
    on_answer = (lambda area_px: None) if done is None else done.append
    with scheduler.open(engine, "cpu", total, cancellation or Cancellation(), on_answer) as stream:
        return values(stream.answers(tiles(*pixel_values)))


def read(scheduler, name):
    """The value of one of its metrics."""
    (line,) = [line for line in scheduler._metrics.render().decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])
