"""Crops made in processes of their own, so that the training step never waits for them.

Each worker makes every n-th batch and sends it through a pipe; the parent takes from the pipes in turn, so batches
arrive in the order of their steps whatever the number of workers. Waiting needs no timeout: a pipe whose other end is
gone says so. A worker that dies closes its pipe and the parent raises; a parent that dies or stops closes its ends
and the workers leave.

Start the workers before TensorFlow is imported: they are fresh interpreters that import this package and nothing of
Keras.
"""

import contextlib
import multiprocessing
import queue
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from monolayer_trainer.dataset import Subset
from monolayer_trainer.errors import SamplerError
from monolayer_trainer.memory import is_exhausted
from monolayer_trainer.sampler import Batch, CropSampler, SamplerConfig

END_SECONDS = 5.0
"""How long a worker may take to leave before it is ended."""


@dataclass(frozen=True)
class _Share:
    """What one worker does: the batches `first`, `first` + `stride` and so on, `prefetch` of them ready."""

    folder: Path
    subset: Subset
    config: SamplerConfig
    first: int
    stride: int
    prefetch: int


@dataclass(frozen=True)
class _Failure:
    """Why a worker ends: the traceback, and whether memory did not suffice."""

    message: str
    of_memory: bool

    def error(self) -> SamplerError | MemoryError:
        if self.of_memory:
            return MemoryError(f"the memory of the sampler process does not suffice:\n{self.message}")
        return SamplerError(f"the sampler process failed:\n{self.message}")


class SamplerProcess(Iterator[Batch]):
    """Batches from worker processes, in the order of their steps, without end. Use it in a ``with`` statement."""

    def __init__(self, workers: list[tuple[SpawnProcess, Connection]], start_step: int) -> None:
        self._workers = workers
        self._lock = threading.RLock()  # a pipe must not be closed while another thread reads from it
        self._taken = 0
        self.step = start_step
        """Number of the next batch."""
        self.error: SamplerError | MemoryError | None = None
        """What went wrong; tf.data hands on its text alone, inside an error of its own."""

    def __next__(self) -> Batch:
        """Give the next batch.

        Raises
        ------
        SamplerError
            The worker failed, with its message, or was killed.
        MemoryError
            The worker's memory did not suffice.
        """
        try:
            return self._next()
        except (SamplerError, MemoryError) as error:
            self.error = error
            raise

    def _next(self) -> Batch:
        with self._lock:
            if not self._workers:
                raise StopIteration
            process, connection = self._workers[self._taken % len(self._workers)]
            try:
                received: Batch | _Failure = connection.recv()
            except (EOFError, OSError):
                process.join(END_SECONDS)
                code = process.exitcode
                self.close()
                raise SamplerError(f"the sampler process ended unexpectedly with exit code {code}") from None
            if isinstance(received, _Failure):
                self.close()
                raise received.error()
            self._taken += 1
            self.step += 1
            return received

    @property
    def pids(self) -> tuple[int | None, ...]:
        """Process numbers of the workers, for monitoring."""
        return tuple(process.pid for process, _ in self._workers)

    def close(self) -> None:
        """Stop the workers and wait until they have left; a second call does nothing.

        A thread that waits for a batch gets it first; from then on there are none.
        """
        workers, self._workers = self._workers, []
        if not self._lock.acquire(timeout=END_SECONDS):
            for process, _ in workers:
                process.kill()  # ends the other thread's wait
            self._lock.acquire()
        try:
            for _, connection in workers:
                connection.close()
            for process, _ in workers:
                process.join(END_SECONDS)
                if process.is_alive():
                    process.kill()
                    process.join()
                process.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_worker_process(
    dataset_folder: Path,
    subset: Subset,
    config: SamplerConfig,
    *,
    start_step: int = 0,
    workers: int = 1,
    prefetch: int = 4,
) -> SamplerProcess:
    """Start making crops in processes of their own.

    Parameters
    ----------
    dataset_folder, subset, config
        As for `monolayer_trainer.sampler.CropSampler`.
    start_step
        Number of the first batch; a resumed run gives the number of steps it has done.
    workers
        Processes. A few feed a fast GPU; on a CPU that trains at the same time one is enough.
    prefetch
        Batches each process holds ready.
    """
    context = multiprocessing.get_context("spawn")
    started: list[tuple[SpawnProcess, Connection]] = []
    for worker in range(workers):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_work,
            args=(sender, _Share(dataset_folder, subset, config, start_step + worker, workers, prefetch)),
            name=f"sampler-{worker}",
            daemon=True,
        )
        process.start()
        sender.close()  # the worker's copy is now the only one: its end is seen as the end of the pipe
        started.append((process, receiver))
    return SamplerProcess(started, start_step)


def _work(sender: Connection, share: _Share) -> None:
    """Run in the worker: one thread makes batches, this one sends them, so that neither waits for the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl+C and closes the pipe
    cv2.setNumThreads(1)
    ready: queue.Queue[Batch | _Failure] = queue.Queue(share.prefetch)
    stop = threading.Event()
    maker = threading.Thread(target=_fill, args=(ready, stop, share))
    maker.start()
    try:
        while True:
            item = ready.get()
            sender.send(item)
            if isinstance(item, _Failure):
                return
    except ConnectionError:
        return  # the parent has closed its end: nobody wants more
    finally:
        stop.set()
        while maker.is_alive():  # it may wait for a place in the queue
            with contextlib.suppress(queue.Empty):
                ready.get(timeout=0.05)


def _fill(ready: "queue.Queue[Batch | _Failure]", stop: threading.Event, share: _Share) -> None:
    try:
        sampler = CropSampler(share.folder, share.subset, share.config)
        step = share.first
        while not stop.is_set():
            ready.put(sampler.batch(step))
            step += share.stride
    except Exception as error:  # noqa: BLE001 - whatever went wrong is told to the parent
        ready.put(_Failure(traceback.format_exc(), of_memory=is_exhausted(error)))
