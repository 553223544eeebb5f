"""The tiles that wait, request by request, and how they are put together into batches. Time is passed in.

Tiles share a batch when they go through the same network, have the same size and are to run on the same device: they
are in one lane. A batch is led by the tile whose turn it is and filled from its lane.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

from monolayer_core.arrays import TileBatch
from monolayer_service.scheduler.fairness import Claim, FairOrder

GUEST_RATIO = 4
"""A request whose tiles are together so many times smaller than a run need not wait for it to end."""


@dataclass(frozen=True)
class TileOutcome:
    """What became of one tile: its answer ``(1, y, x, output)`` or why there is none, and the device that ran it."""

    answer: TileBatch | Exception
    device: str


class Engine(Protocol):
    """Runs batches of one network; devices are names that only it understands."""

    def batch_limit(self, device: str, tile_px: int) -> int:
        """Most tiles of so many pixels in one run there."""
        ...

    def run(self, tiles: TileBatch, device: str, *, alone: bool) -> Sequence[TileOutcome]:
        """Predict a batch ``(n, y, x, channel)``, which others may share the cores with or not; one outcome a tile."""
        ...


@dataclass(eq=False)
class QueuedTile:
    """One tile ``(1, y, x, channel)`` and the promise of its answer ``(1, y, x, output)``."""

    job: "Job"
    pixels: TileBatch
    queued_at: float
    answer: "Future[TileBatch]" = field(default_factory=Future)

    @property
    def area_px(self) -> int:
        """Pixels that the network computes for it."""
        return int(self.pixels.shape[1] * self.pixels.shape[2])

    @property
    def lane(self) -> Hashable:
        """Tiles of the same lane can share a batch; changes with the device of the job."""
        return id(self.job.engine), self.job.device, self.pixels.shape[1:]


@dataclass(eq=False)
class Job:
    """The tiles of one request.

    Attributes
    ----------
    number : int
        Order of arrival.
    request_id : str or None
        Of the request, for logs.
    device : str
        Where its tiles run; what becomes of a tile may move those behind it to another one.
    uncut_px : int
        Pixels of the tiles that are not in the queue yet.
    remaining_px : int
        Pixels of the tiles that are not taken from the queue yet, uncut ones included.
    unserved_since : int
        Turn in which a tile of it was taken last.
    waiting : deque of QueuedTile
        In the order in which they run.
    in_run : list of QueuedTile
        Taken and not answered yet.
    failure : Exception or None
        Why no more tiles are taken from it, once that is so.
    """

    number: int
    request_id: str | None
    engine: Engine
    device: str
    uncut_px: int
    remaining_px: int
    unserved_since: int
    waiting: deque[QueuedTile] = field(default_factory=deque)
    in_run: list[QueuedTile] = field(default_factory=list)
    failure: Exception | None = None

    @property
    def claim(self) -> Claim:
        """What it asks of the network; only of use while a tile waits."""
        return Claim(self.number, self.remaining_px, self.waiting[0].area_px, self.unserved_since)

    def fitting(self, lane: Hashable) -> int:
        """How many of its tiles could join a batch of that lane without changing their order."""
        return sum(1 for _ in takewhile(lambda tile: tile.lane == lane, self.waiting))


class TileQueue:
    """Tiles of all jobs; used under a lock of the caller's.

    Parameters
    ----------
    patience_seconds
        How long a tile waits for others to fill its batch, where more may come.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._order = FairOrder()
        self._jobs: list[Job] = []
        self._arrivals = 0

    def __len__(self) -> int:
        return sum(len(job.waiting) for job in self._jobs)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Jobs that are open."""
        return tuple(self._jobs)

    def open(self, engine: Engine, device: str, work_px: int, request_id: str | None = None) -> Job:
        """Let a request in whose tiles have `work_px` pixels altogether."""
        self._arrivals += 1
        job = Job(self._arrivals, request_id, engine, device, work_px, work_px, self._order.turn)
        self._jobs.append(job)
        return job

    def close(self, job: Job, failure: Exception) -> list[QueuedTile]:
        """Forget a job; gives the tiles of it that have no answer yet. Closed again, it has none."""
        if job.failure is not None:
            return []
        job.failure = failure
        self._jobs.remove(job)
        unanswered = [*job.in_run, *job.waiting]
        job.in_run.clear()
        job.waiting.clear()
        return unanswered

    def put(self, job: Job, pixels: TileBatch, now: float) -> QueuedTile:
        """Queue the next tile of a job; raises why where the job was closed."""
        if job.failure is not None:
            raise job.failure
        tile = QueuedTile(job, pixels, now)
        job.waiting.append(tile)
        job.uncut_px -= tile.area_px
        return tile

    def take(self, now: float) -> list[QueuedTile] | None:
        """Take the batch whose turn it is; None where every tile still waits for company, or none is there."""
        lanes = self._lanes()
        due = [job for lane, jobs in lanes.items() if self._seconds_to_wait(lane, jobs, now) <= 0 for job in jobs]
        if not due:
            return None
        batch = [self._take_next(due)]
        lane = batch[0].lane
        mates = lanes[lane]
        limit = batch[0].job.engine.batch_limit(batch[0].job.device, batch[0].area_px)
        size = batch_size(1 + sum(job.fitting(lane) for job in mates), limit)
        while len(batch) < size:
            batch.append(self._take_next(job for job in mates if job.fitting(lane)))
        return batch

    def take_guest(self, host_px: int) -> QueuedTile | None:
        """Take a tile that may run beside a run of `host_px` pixels, see `GUEST_RATIO`; None where there is none.

        The shortest request goes first, and nobody's turn is used up: whoever else waits waits for the run, not for
        this tile.
        """
        guests = [job for job in self._jobs if job.waiting and GUEST_RATIO * job.remaining_px <= host_px]
        if not guests:
            return None
        return self._take_from(min(guests, key=lambda job: (job.remaining_px, job.number)))

    def due_in(self, now: float) -> float | None:
        """Seconds until `take` gives something without a further tile; None: never."""
        waits = (self._seconds_to_wait(lane, jobs, now) for lane, jobs in self._lanes().items())
        return min(waits, default=None)

    def _lanes(self) -> dict[Hashable, list[Job]]:
        lanes: dict[Hashable, list[Job]] = {}
        for job in self._jobs:
            if job.waiting:
                lanes.setdefault(job.waiting[0].lane, []).append(job)
        return lanes

    def _seconds_to_wait(self, lane: Hashable, jobs: Sequence[Job], now: float) -> float:
        """How long a lane should wait for further tiles: not at all where its batch is full or no more will come."""
        engine, device = jobs[0].engine, jobs[0].device
        if sum(job.fitting(lane) for job in jobs) >= engine.batch_limit(device, jobs[0].waiting[0].area_px):
            return 0.0
        if not any(job.uncut_px > 0 for job in self._jobs if job.engine is engine):
            return 0.0
        return max(0.0, min(job.waiting[0].queued_at for job in jobs) + self._patience_seconds - now)

    def _take_next(self, jobs: Iterable[Job]) -> QueuedTile:
        claims = {job.claim: job for job in jobs}
        return self._take_from(claims[self._order.choose(tuple(claims))])

    def _take_from(self, job: Job) -> QueuedTile:
        tile = job.waiting.popleft()
        job.remaining_px -= tile.area_px
        job.unserved_since = self._order.turn
        job.in_run.append(tile)
        return tile


def batch_size(available: int, limit: int) -> int:
    """Size of the batch to run now: the limit, or the largest power of two below it that can be filled.

    A GPU prepares itself anew for every size it meets (choice of algorithms, plan of memory): few sizes are met soon.

    Examples
    --------
    >>> [batch_size(available, 12) for available in (1, 3, 7, 11, 12, 40)]
    [1, 2, 4, 8, 12, 12]
    """
    return limit if available >= limit else 1 << (available.bit_length() - 1)


def batch_sizes(limit: int) -> list[int]:
    """Every size that `batch_size` gives with a limit.

    Examples
    --------
    >>> batch_sizes(1), batch_sizes(8), batch_sizes(12)
    ([1], [1, 2, 4, 8], [1, 2, 4, 8, 12])
    """
    return sorted({batch_size(available, limit) for available in range(1, limit + 1)})
