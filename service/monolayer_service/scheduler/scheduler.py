"""The threads that run the networks, and how requests reach them.

A request's own thread cuts and stitches tiles and keeps a few of them in the queue ahead of the answers it has used, so
that the network has something to do while tiles are cut, and the tiles of other requests while this one is split into
objects. Everything here is guarded by one lock that is never held while a network runs.

Several runs may share the machine, each in a slot; one behind which nothing waits may take all slots, and so all cores.
A run cannot be interrupted. So that a frame need not wait for a slide's large tiles that happen to be in the network,
its small one may start beside them, as a guest without a slot: the operating system divides the cores among them. Only
what is several times smaller than every other run in progress is let in.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import structlog
from asgi_correlation_id import correlation_id

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import PredictionError
from monolayer_service.cancellation import Cancellation
from monolayer_service.containment import BrokenOffError, contained
from monolayer_service.scheduler.tile_queue import Engine, Job, QueuedTile, TileOutcome, TileQueue
from monolayer_service.telemetry.logs import working_for
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.telemetry.utilisation import Utilisation

log = structlog.get_logger(__name__)

FEWEST_WINDOW_BATCHES = 3
"""Also where one run at a time takes place: a tile is cut while another waits, so that the network need not."""


STUCK_SECONDS = 120.0
"""A run that has lasted so long does not come back: one of the largest tile takes a few seconds on a slow machine."""


class Run(NamedTuple):
    """Tiles that go through the network together, how many slots they take (none, one or all), and since when."""

    tiles: list[QueuedTile]
    slots: int
    began_at: float

    @property
    def area_px(self) -> int:
        """Pixels that the network computes."""
        return sum(tile.area_px for tile in self.tiles)


class TileScheduler:
    """Runs the tiles of all requests in batches, in fair order.

    Parameters
    ----------
    patience_seconds
        Longest time a tile waits for others to fill its batch.
    """

    def __init__(self, metrics: Metrics, *, patience_seconds: float) -> None:
        self._metrics = metrics
        self._queue = TileQueue(patience_seconds)
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._slots = 1
        self._guests_at_once = 0
        self._one_takes_all = False
        self._running: list[Run] = []
        self._is_closed = False
        self._utilisation = Utilisation(time.monotonic())
        metrics.utilisation.set_function(self._read_utilisation)

    @property
    def problem(self) -> str | None:
        """What keeps networks from running, if anything does."""
        ended = sum(not thread.is_alive() for thread in self._threads)
        if ended and not self._is_closed:
            return f"{ended} of {len(self._threads)} threads that run networks have ended"
        with self._changed:
            seconds = time.monotonic() - min((run.began_at for run in self._running), default=math.inf)
        return f"a network has not come back for {seconds:.0f} s" if seconds > STUCK_SECONDS else None

    @property
    def window_batches(self) -> int:
        """Batches of tiles that a request keeps in flight: as many as fit into the network, and more that are ready."""
        return max(FEWEST_WINDOW_BATCHES, self._slots + 1)

    def start(self, runs_at_once: int, guests_at_once: int = 0, *, one_takes_all: bool = False) -> None:
        """Start the threads; tiles that were submitted before wait for it.

        Parameters
        ----------
        runs_at_once
            Batches in the network, whatever their size.
        guests_at_once
            How many more of much smaller ones may be there too.
        one_takes_all
            Whether a batch with nothing beside and behind it runs alone, in the place of all.
        """
        self._slots, self._guests_at_once, self._one_takes_all = runs_at_once, guests_at_once, one_takes_all
        threads = [
            threading.Thread(target=self._serve, name=f"network-{number}", daemon=True)
            for number in range(runs_at_once + guests_at_once)
        ]
        for thread in threads:
            thread.start()
        self._threads = threads

    def close(self) -> None:
        """End the threads after the runs they are in; requests that still wait get an error."""
        with self._changed:
            self._is_closed = True
            for job in self._queue.jobs:
                self._drop(job, RuntimeError("the scheduler was closed"))
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def open(
        self, engine: Engine, device: str, work_px: int, cancellation: Cancellation, on_answer: Callable[[int], None]
    ) -> Iterator["TileStream"]:
        """Let the tiles of one request in; when the block is left, for whatever reason, those that wait are removed.

        Parameters
        ----------
        engine
            The network.
        device
            Where it is to run.
        work_px
            Pixels of all tiles that will come.
        cancellation
            Of the request; once cancelled, its tiles are removed at once and its thread is woken with the error.
        on_answer
            Told the pixels of every tile that is answered, in the request's thread.

        Raises
        ------
        PredictionError
            There is no thread left that could run them.
        Exception
            The error of the cancellation.
        """
        if self._threads and not any(thread.is_alive() for thread in self._threads):
            raise PredictionError(self.problem or "the scheduler was closed")
        with self._changed:
            job = self._queue.open(engine, device, work_px, correlation_id.get())
        try:
            with cancellation.heard_by(lambda error: self._drop(job, error)):
                yield TileStream(self, job, on_answer)
        finally:
            self._drop(job, RuntimeError("the request left its tiles behind"))

    def submit(self, job: Job, pixels: TileBatch) -> QueuedTile:
        """Queue one tile ``(1, y, x, channel)`` of a job."""
        with self._changed:
            tile = self._queue.put(job, pixels, time.monotonic())
            self._report_and_wake()
        return tile

    def _drop(self, job: Job, error: Exception) -> None:
        """Remove a job's tiles from the queue; whoever waits for them, also for those in a run, gets the error now."""
        with self._changed:
            for tile in self._queue.close(job, error):
                tile.answer.set_exception(error)
            self._report_and_wake()

    def _report_and_wake(self) -> None:
        self._metrics.queued_tiles.set(len(self._queue))
        self._changed.notify_all()

    def _read_utilisation(self) -> float:
        with self._changed:
            return self._utilisation.ratio(time.monotonic())

    def _serve(self) -> None:
        """Run what is next until the scheduler is closed; whatever goes wrong, the thread goes on."""
        while True:
            run = None
            try:
                if (run := self._next_run()) is None:
                    return
                device = run.tiles[0].job.device
                self._settle(run, self._compute(run, device), device)
            except BaseException as error:  # noqa: BLE001 - a thread less would be a place less for ever
                self._start_over(run, error)

    def _compute(self, run: Run, device: str) -> Sequence[TileOutcome]:
        """Let the network see a batch; whatever it raises is the outcome of every tile."""
        batch = run.tiles
        try:
            tiles = np.concatenate([tile.pixels for tile in batch]) if len(batch) > 1 else batch[0].pixels
            with working_for(tile.job.request_id for tile in batch):
                outcomes = contained(batch[0].job.engine.run, tiles, device, alone=run.slots == self._slots)
            if len(outcomes) != len(batch):
                raise PredictionError(f"the network gave {len(outcomes)} answers to {len(batch)} tiles")  # noqa: TRY301
        except BrokenOffError as error:
            return [TileOutcome(PredictionError(str(error)), device)] * len(batch)
        except Exception as error:  # noqa: BLE001 - the requests get it
            return [TileOutcome(error, device)] * len(batch)
        return outcomes

    def _start_over(self, run: Run | None, error: BaseException) -> None:
        """Give every request that is inside an error, after one of the scheduler's own: none may wait for ever."""
        with self._changed:
            if run in self._running:
                self._end(run)
            for job in self._queue.jobs:
                failure = RuntimeError("the scheduler failed")
                failure.__cause__ = error
                self._drop(job, failure)
        log.critical("scheduler failed", exc_info=error)

    def _next_run(self) -> Run | None:
        """Wait for what runs next; None when the scheduler is closed."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                run, seconds = self._choose(now)
                if run is not None:
                    self._metrics.batch_size.observe(len(run.tiles))
                    for tile in run.tiles:
                        self._metrics.tile_wait.observe(now - tile.queued_at)
                    self._report_and_wake()
                    self._metrics.network_busy.inc(self._utilisation.begin(now))
                    self._running.append(run)
                    return run
                self._changed.wait(seconds)
        return None

    def _choose(self, now: float) -> tuple[Run | None, float | None]:
        """Choose what runs next, if anything may, else say in how many seconds that may change by itself."""
        hosts = [run for run in self._running if run.slots]
        if sum(run.slots for run in hosts) < self._slots:
            batch = self._queue.take(now)
            if batch is None:
                return None, self._queue.due_in(now)
            takes_all = self._one_takes_all and not self._running and not len(self._queue)
            return Run(batch, self._slots if takes_all else 1, now), None
        if len(self._running) - len(hosts) < self._guests_at_once:
            tile = self._queue.take_guest(min(run.area_px for run in hosts))
            return (None, None) if tile is None else (Run([tile], 0, now), None)
        return None, None

    def _end(self, run: Run) -> None:
        self._running.remove(run)
        self._metrics.network_busy.inc(self._utilisation.end(time.monotonic()))

    def _settle(self, run: Run, outcomes: Sequence[TileOutcome], device: str) -> None:
        with self._changed:
            self._end(run)
            for tile, outcome in zip(run.tiles, outcomes, strict=True):
                if tile not in tile.job.in_run:  # dropped while it ran
                    continue
                tile.job.in_run.remove(tile)
                if outcome.device != device:  # what another run of the same job has found out stands
                    tile.job.device = outcome.device
                if isinstance(outcome.answer, Exception):
                    tile.answer.set_exception(outcome.answer)
                else:
                    tile.answer.set_result(outcome.answer)
            self._changed.notify_all()  # a place is free, and a device that changed may have made other batches due


class TileStream:
    """One request's way to the network: a map over its tiles, as core asks for."""

    def __init__(self, scheduler: TileScheduler, job: Job, on_answer: Callable[[int], None]) -> None:
        self._scheduler = scheduler
        self._job = job
        self._on_answer = on_answer

    @property
    def device(self) -> str:
        """Where its tiles run by now."""
        return self._job.device

    def answers(self, tiles: Iterator[TileBatch]) -> Iterator[TileBatch]:
        """Give the answers ``(1, y, x, output)`` to tiles ``(1, y, x, channel)`` in order.

        A few tiles are cut and submitted ahead; no more than that, so that memory stays bounded.

        Raises
        ------
        PredictionError
            The network failed on every way that was left.
        Exception
            The error of the request's cancellation.
        """
        in_flight: deque[QueuedTile] = deque()
        for pixels in tiles:
            tile = self._scheduler.submit(self._job, pixels)
            in_flight.append(tile)
            limit = self._job.engine.batch_limit(self._job.device, tile.area_px)
            if len(in_flight) >= self._scheduler.window_batches * limit:
                yield self._await(in_flight.popleft())
        while in_flight:
            yield self._await(in_flight.popleft())

    def _await(self, tile: QueuedTile) -> TileBatch:
        answer = tile.answer.result()
        self._on_answer(tile.area_px)
        return answer
