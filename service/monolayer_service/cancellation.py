"""Whether one request is still wanted: said once, by whoever knows, and heard at once by whoever works for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.row_source import RowSource


class Cancellation:
    """Cancelled at most once, from any thread; a thread cannot be stopped from outside, it has to ask or to listen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._listeners: list[Callable[[Exception], None]] = []

    def cancel(self, error: Exception) -> None:
        """Say that nobody waits for the result any more; only the first call counts.

        Parameters
        ----------
        error
            What work for it ends with.
        """
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            listeners, self._listeners = self._listeners, []
        for tell in listeners:
            tell(error)

    def check(self) -> None:
        """Raise the error of `cancel` once it was called; asked wherever a computation may be left."""
        if self._error is not None:
            raise self._error

    @contextmanager
    def heard_by(self, listener: Callable[[Exception], None]) -> Iterator[None]:
        """Call `listener` at once, in the thread that cancels, if that happens before the ``with`` block ends.

        Raises
        ------
        Exception
            The error of `cancel`, where it came before the block.
        """
        with self._lock:
            self.check()
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)


class WantedRows:
    """Rows of an image that are given only as long as the request is wanted.

    Whatever goes through a large image reads it row by row, so this is where it can be left.
    """

    def __init__(self, rows: RowSource, cancellation: Cancellation) -> None:
        self.height = rows.height
        self.width = rows.width
        self.channels = rows.channels
        self.dtype: np.dtype[Any] = rows.dtype
        self._rows = rows
        self._cancellation = cancellation

    def read(self, rows: slice) -> Pixels:
        """See `RowSource.read`.

        Raises
        ------
        Exception
            The error of the cancellation.
        """
        self._cancellation.check()
        return self._rows.read(rows)
