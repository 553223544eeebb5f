"""How much of the time something is busy; time is passed in."""

import math


class Utilisation:
    """Share of the last minute or so in which at least one of several workers was busy.

    It is the exponentially weighted mean over time of a signal that is 1 while busy and 0 while not.

    Parameters
    ----------
    now
        Seconds of a clock that only goes forward.
    memory_seconds
        Time after which a moment counts 1/e.
    """

    def __init__(self, now: float, memory_seconds: float = 60.0) -> None:
        self._memory_seconds = memory_seconds
        self._at = now
        self._ratio = 0.0
        self._busy_workers = 0

    def begin(self, now: float) -> float:
        """Note that one more worker is busy; gives the busy seconds since the last call of `begin` or `end`."""
        busy_seconds = self._advance(now)
        self._busy_workers += 1
        return busy_seconds

    def end(self, now: float) -> float:
        """Note that one worker less is busy; gives the busy seconds since the last call of `begin` or `end`."""
        busy_seconds = self._advance(now)
        self._busy_workers -= 1
        return busy_seconds

    def ratio(self, now: float) -> float:
        """Give the share, 0 to 1, up to now."""
        signal = 1.0 if self._busy_workers else 0.0
        return signal + (self._ratio - signal) * math.exp(-(now - self._at) / self._memory_seconds)

    def _advance(self, now: float) -> float:
        passed, is_busy = now - self._at, self._busy_workers > 0
        self._ratio, self._at = self.ratio(now), now
        return passed if is_busy else 0.0
