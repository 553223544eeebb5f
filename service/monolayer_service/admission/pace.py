"""How fast megapixels are done, as measured: what `Retry-After` is computed from. Time is passed in."""

import math

_MEMORY_SECONDS = 120.0
"""Busy time after which what was measured counts 1/e."""

_FIRST_GUESS_MEGAPIXELS_PER_SECOND = 1.0
"""Counts like one second of measurement, until there is more of it."""


class Pace:
    """Megapixels per second of the time in which anything was computed.

    Parameters
    ----------
    now
        Seconds of a clock that only goes forward.
    """

    def __init__(self, now: float) -> None:
        self._seconds = 1.0
        self._megapixels = _FIRST_GUESS_MEGAPIXELS_PER_SECOND
        self._seen_at = now
        self._seen_megapixels = 0.0

    def observe(self, now: float, megapixels: float, *, is_busy: bool) -> None:
        """Measure up to now.

        Parameters
        ----------
        megapixels
            Done since the beginning.
        is_busy
            Whether anything was being computed in all the time since the last call; else that time does not count.
        """
        done, passed = megapixels - self._seen_megapixels, now - self._seen_at
        self._seen_megapixels, self._seen_at = megapixels, now
        if not is_busy:
            return
        if passed <= 0:
            self._megapixels += done
            return
        kept = math.exp(-passed / _MEMORY_SECONDS)
        new_seconds = _MEMORY_SECONDS * (1 - kept)  # the stretch itself, its beginning already fading
        self._megapixels = kept * self._megapixels + new_seconds * done / passed
        self._seconds = kept * self._seconds + new_seconds

    def seconds_for(self, megapixels: float) -> float:
        """Time that this many megapixels take.

        Examples
        --------
        >>> pace = Pace(now=100)
        >>> pace.observe(1100, megapixels=4000, is_busy=True)
        >>> round(pace.seconds_for(20), 2)
        5.0
        """
        return megapixels * self._seconds / self._megapixels
