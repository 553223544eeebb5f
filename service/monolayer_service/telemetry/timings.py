"""Time spent in each stage of one request, for the ``Server-Timing`` header and the metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

Stage = Literal["upload", "queue", "decode", "prepare", "inference", "postprocess", "encode"]


class _Stand(NamedTuple):
    """Seconds of the stages that have ended, and the one that has not, with the time at which it began."""

    ended: dict[Stage, float]
    open: tuple[Stage, float] | None


class Timings:
    """Seconds per stage, in the order in which the stages were first entered.

    Stages follow one another; one may still be open in a thread when the request is answered, because its deadline has
    passed. Timings never enter an answer: it stays the same for the same image, options and bundle.

    Attributes
    ----------
    stage
        The one that was entered last.
    """

    def __init__(self) -> None:
        self.stage: Stage | None = None
        # Another value each time: a thread that works on past the deadline must not change one that is read.
        self._stand = _Stand({}, None)
        self._began = time.perf_counter()

    @property
    def elapsed_seconds(self) -> float:
        """Time since the request came in."""
        return time.perf_counter() - self._began

    @property
    def seconds(self) -> dict[Stage, float]:
        """By stage, what has passed so far of one that is open included."""
        ended, still_open = self._stand
        return ended if still_open is None else _with(ended, *still_open)

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Add the time spent in the ``with`` block to a stage."""
        self.stage = stage
        start = time.perf_counter()
        self._stand = _Stand(self._stand.ended, (stage, start))
        try:
            yield
        finally:
            self._stand = _Stand(_with(self._stand.ended, stage, start), None)

    def header(self) -> str:
        """Value of the ``Server-Timing`` header: durations in milliseconds, for example ``decode;dur=12.5``."""
        return ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in self.seconds.items())


def _with(ended: dict[Stage, float], stage: Stage, start: float) -> dict[Stage, float]:
    return ended | {stage: ended.get(stage, 0.0) + time.perf_counter() - start}
