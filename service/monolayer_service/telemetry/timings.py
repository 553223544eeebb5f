"""Time spent in each stage of one request, for the ``Server-Timing`` header and the metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Stage = Literal["upload", "queue", "decode", "prepare", "inference", "postprocess", "encode"]


class Timings:
    """Seconds per stage, in the order in which the stages were first entered.

    Timings never enter a body: it stays the same for the same image, options and bundle.
    """

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {}

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Add the time spent in the ``with`` block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

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
