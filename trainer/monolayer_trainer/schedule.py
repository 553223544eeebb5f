"""How long to train, and how fast to learn meanwhile: by epochs, or by the clock."""

import math
import time
from collections.abc import Callable

FLOOR = 0.01
"""The learning rate begins and ends at this fraction of its peak."""


def learning_rate(fraction: float, *, peak: float, warmup: float) -> float:
    """Rise linearly during the warm-up, then fall along half a cosine (Loshchilov and Hutter 2017).

    Parameters
    ----------
    fraction
        How much of the run is done, 0 to 1.
    peak
        The highest learning rate.
    warmup
        Fraction of the run in which it rises.

    Examples
    --------
    >>> [round(learning_rate(f, peak=1.0, warmup=0.2), 3) for f in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.01, 0.505, 1.0, 0.505, 0.01]
    """
    if fraction < warmup:
        share = fraction / warmup
    else:
        share = (1 + math.cos(math.pi * min(1.0, (fraction - warmup) / (1 - warmup)))) / 2
    return peak * (FLOOR + (1 - FLOOR) * share)


class Budget:
    """How much of a run is done: counted in epochs, or in minutes where a wall-clock budget is given.

    Not in steps: an epoch has more of them once the batch has been halved for want of memory.

    Parameters
    ----------
    epochs
        Epochs of the whole run.
    minutes
        Wall-clock budget of the whole run; epochs are not counted then.
    elapsed_seconds
        Spent before a resumption.
    now
        The clock, in seconds.
    """

    def __init__(
        self,
        *,
        epochs: int,
        minutes: float | None,
        elapsed_seconds: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epochs = epochs
        self.minutes = minutes
        self._now = now
        self._start = now() - elapsed_seconds

    @property
    def elapsed_seconds(self) -> float:
        """Wall-clock time spent, resumptions included."""
        return self._now() - self._start

    def fraction(self, epochs_done: float) -> float:
        """Fraction done after so many epochs, at most 1."""
        done = epochs_done / self.epochs if self.minutes is None else self.elapsed_seconds / (60 * self.minutes)
        return min(1.0, done)
