"""Time spent in each stage of one request, for the ``Server-Timing`` header and the metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Stage = Literal["upload", "queue", "decode", "prepare", "inference", "postprocess", "encode"]


class Timings:
    """Seconds per stage, in the order in which the stages were first entered.

    Timings never enter an answer: it stays the same for the same image, options and bundle.

    Attributes
    ----------
    seconds
        By stage.
    stage
        The one that was entered last.
    """

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}
        self.stage: Stage | None = None
        self._began = time.perf_counter()

    @property
    def elapsed_seconds(self) -> float:
        """Time since the request came in."""
        return time.perf_counter() - self._began

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Add the time spent in the ``with`` block to a stage."""
        self.stage = stage
        start = time.perf_counter()
        try:
            yield
        finally:
            # Another dictionary each time: a thread that works on past the deadline must not change one that is read.
            self.seconds = self.seconds | {stage: self.seconds.get(stage, 0.0) + time.perf_counter() - start}

    def header(self) -> str:
        """Value of the ``Server-Timing`` header: durations in milliseconds.

        Examples
        --------
        >>> timings = Timings()
        >>> timings.seconds = {"decode": 0.0125, "inference": 0.25}
        >>> timings.header()
        'decode;dur=12.5, inference;dur=250.0'
        """
        return ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in self.seconds.items())
