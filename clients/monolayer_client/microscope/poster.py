"""Frames wait in a bounded queue and are posted by threads of their own: the camera's thread only copies.

What happens where frames come faster than answers is the caller's choice: the oldest frame that waits gives way, which
keeps a loop on the newest picture, or the camera waits, which loses none.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, Unpack

import numpy as np

from monolayer_client.client import Client
from monolayer_client.errors import ClientError
from monolayer_client.microscope.frame import Frame, FrameFailure, FrameMetadata, FrameResult, Pixels
from monolayer_client.options import ConfluencyOptions

_log = logging.getLogger(__name__)


class FramesFailedError(ClientError):
    """Frames had no answer, or the caller's function failed over one; `failures` says which and why."""

    code = "frames_failed"

    def __init__(self, failures: list[FrameFailure]) -> None:
        first = failures[0]
        super().__init__(f"{len(failures)} frames failed, the first {dict(first.metadata.index)}: {first.error}")
        self.failures = failures


class FramePoster:
    """Posts frames to a service; use it as a context manager.

    Parameters
    ----------
    client : Client
        The service. Its patience is how long one frame waits for a service that is full.
    on_result : callable
        Takes a `FrameResult`, in a thread of this object, one at a time for each worker.
    on_failure : callable, optional
        Takes a `FrameFailure`, in the same threads; without it the failures are raised by `close`.
    call : {"confluency", "segment"}
        What is asked: the numbers, or the objects too.
    when_full : {"drop_oldest", "wait"}
        Whether the oldest waiting frame gives way to a new one, or `put` waits, and the camera with it.
    queue_length : int
        Frames that may wait, besides those under way.
    workers : int
        Frames under way at a time; with more than 1 answers may come in another order than frames.
    options
        Any option of the call. Pixel size and echo come from the frames; what is given here goes before.

    Attributes
    ----------
    answered, dropped : int
        Frames that had an answer, and that gave way.
    """

    def __init__(
        self,
        client: Client,
        on_result: Callable[[FrameResult], None],
        *,
        on_failure: Callable[[FrameFailure], None] | None = None,
        call: Literal["confluency", "segment"] = "confluency",
        when_full: Literal["drop_oldest", "wait"] = "drop_oldest",
        queue_length: int = 16,
        workers: int = 1,
        **options: Unpack[ConfluencyOptions],
    ) -> None:
        if queue_length < 1 or workers < 1:
            raise ValueError("a queue holds at least one frame, and at least one worker empties it")
        self.answered = 0
        self.dropped = 0
        self._ask = client.segment if call == "segment" else client.confluency
        self._on_result = on_result
        self._on_failure = on_failure
        self._when_full = when_full
        self._queue_length = queue_length
        self._options = options
        self._waiting: deque[Frame] = deque()
        self._under_way = 0
        self._failures: list[FrameFailure] = []
        self._is_closed = False
        self._change = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name=f"monolayer-{n}") for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def put(self, pixels: Pixels, metadata: FrameMetadata) -> None:
        """Take a copy of a frame and return, or with ``when_full="wait"`` as soon as there is room.

        Raises
        ------
        RuntimeError
            The poster is closed.
        """
        frame = Frame(np.array(pixels, copy=True), metadata, time.monotonic())
        with self._change:
            if self._when_full == "wait":
                self._change.wait_for(lambda: len(self._waiting) < self._queue_length or self._is_closed)
            if self._is_closed:
                raise RuntimeError("the poster is closed: it takes no more frames")
            if len(self._waiting) >= self._queue_length:
                oldest = self._waiting.popleft()
                self.dropped += 1
                _log.warning("frame %s was dropped: the service is slower than the camera", dict(oldest.metadata.index))
            self._waiting.append(frame)
            self._change.notify_all()

    def drain(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting and not self._under_way)

    def close(self) -> None:
        """Wait for the answers to all frames that were taken, and end the threads; a second call does nothing.

        Raises
        ------
        FramesFailedError
            Some failed, and there was no `on_failure` to be told.
        """
        with self._change:
            self._is_closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()
        failures, self._failures = self._failures, []
        if failures:
            raise FramesFailedError(failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except FramesFailedError:
            if error is None:
                raise
            _log.exception("frames failed, beside what ended the acquisition")

    def _work(self) -> None:
        while (frame := self._next()) is not None:
            try:
                self._post(frame)
            except Exception as error:  # noqa: BLE001 - a bug in the caller's function is the caller's to see
                self._fail(FrameFailure(frame.metadata, error))
            with self._change:
                self._under_way -= 1
                self._change.notify_all()

    def _next(self) -> Frame | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return None
            self._under_way += 1
            self._change.notify_all()
            return self._waiting.popleft()

    def _post(self, frame: Frame) -> None:
        metadata = frame.metadata
        options: ConfluencyOptions = {"pixel_size_um": metadata.pixel_size_um, **self._options}
        options["echo"] = {**metadata.echo(), **(self._options.get("echo") or {})}
        result = self._ask(frame.pixels, **options)
        with self._change:
            self.answered += 1
        self._on_result(FrameResult(metadata, result, time.monotonic() - frame.taken_s))

    def _fail(self, failure: FrameFailure) -> None:
        if self._on_failure is None:
            self._failures.append(failure)
            return
        try:
            self._on_failure(failure)
        except Exception as error:  # noqa: BLE001 - as above
            self._failures.append(FrameFailure(failure.metadata, error))
