"""Admission: a permit before work, a bounded queue, and a truthful answer when both are full.

A request passes three points, and each refuses at once what does not fit:

1. `Gate.enter`, before a byte of the body is read: so many requests may be inside, no more;
2. `Ticket.hold`, as the body arrives: so many bytes may be held by all requests together;
3. `Ticket.start`, when the header has told the image's size: it waits for its turn, in megapixels.

Small images are not stuck behind a slide: slides never take the last free slot, and where a slide has to wait for
another one the small images behind it go first. Slides are not starved either: only other slides count against their
share of megapixels.

Computing runs in threads, one a slot. A thread cannot be stopped from outside: when the deadline passes the caller is
answered, the slot stays taken until the thread sees it (`Ticket.check`, asked between tiles).
"""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from monolayer_service.errors import DeadlineError, OverloadedError
from monolayer_service.settings import Settings
from monolayer_service.telemetry.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")

SMALL_MEGAPIXELS = 17.0
"""Images up to 4096 x 4096 are small: any slot may compute them."""

_MEMORY_OF_RATE = 0.8
"""Weight of the past in the moving averages that `Retry-After` is computed from."""


@dataclass(frozen=True)
class GateLimits:
    """What fits at once; megapixels of small images are bounded by the number of slots."""

    running_requests: int
    waiting_requests: int
    running_megapixels: float
    waiting_megapixels: float
    held_bytes: int
    deadline_seconds: float
    deadline_seconds_per_megapixel: float

    @classmethod
    def of(cls, settings: Settings, running_requests: int) -> "GateLimits":
        """Read the limits from the settings."""
        return cls(
            running_requests=running_requests,
            waiting_requests=settings.waiting_requests,
            running_megapixels=settings.running_megapixels,
            waiting_megapixels=settings.waiting_megapixels,
            held_bytes=settings.held_bytes,
            deadline_seconds=settings.deadline_seconds,
            deadline_seconds_per_megapixel=settings.deadline_seconds_per_megapixel,
        )


class Ticket:
    """One request's way through the gate."""

    def __init__(self, gate: "Gate") -> None:
        self._gate = gate
        self.held_bytes = 0
        self.megapixels = 0.0
        self.started_at: float | None = None
        self.turn: asyncio.Future[None] | None = None
        self.work: asyncio.Future[Any] | None = None
        self._deadline = float("inf")

    @property
    def is_large(self) -> bool:
        """Whether the image is a slide, which has to leave a slot to the small ones."""
        return self.megapixels > SMALL_MEGAPIXELS

    def hold(self, count: int) -> None:
        """Account for `count` more bytes of the body.

        Raises
        ------
        OverloadedError
            The bodies of all requests would take more memory than is set aside for them.
        """
        self._gate.hold(self, count)

    async def start(self, megapixels: float) -> None:
        """Wait for the turn of an image of this size; the deadline counts from here.

        Raises
        ------
        OverloadedError
            As many megapixels are waiting as the queue may hold.
        DeadlineError
            The turn did not come in time.
        """
        limits = self._gate.limits
        budget = limits.deadline_seconds + limits.deadline_seconds_per_megapixel * megapixels
        self._deadline = time.monotonic() + budget
        self.megapixels = megapixels
        await self._gate.queue(self, budget)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute in a thread of the gate's, with the context (request id) of the caller.

        Raises
        ------
        DeadlineError
            The deadline passed; the thread's result will be thrown away.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._gate.pool, lambda: context.run(function, *args, **kwargs))
        self.work = work
        await asyncio.wait({work}, timeout=max(0.0, self._deadline - time.monotonic()))
        if not work.done():
            raise self._gate.give_up()
        return work.result()

    def check(self) -> None:
        """Stop the computing thread when nobody waits for its result any more.

        Raises
        ------
        DeadlineError
            The deadline has passed, or the service ends.
        """
        if self._gate.is_closed or time.monotonic() > self._deadline:
            raise self._gate.too_late()


class Gate:
    """Counts what is inside; used from the event loop only, so it needs no lock."""

    def __init__(self, limits: GateLimits, metrics: Metrics) -> None:
        self.limits = limits
        self.pool = ThreadPoolExecutor(limits.running_requests, thread_name_prefix="compute")
        self._metrics = metrics
        self.finished = 0
        self.is_closed = False
        self._inside = 0
        self._held_bytes = 0
        self._waiting: list[Ticket] = []
        self._running: list[Ticket] = []
        self._mean_megapixels = 1.0
        self._seconds_per_megapixel = 1.0

    @property
    def is_idle(self) -> bool:
        """Whether no request is inside."""
        return self._inside == 0

    def close(self) -> None:
        """End the threads; those still at work leave at their next check."""
        self.is_closed = True
        self.pool.shutdown(wait=True, cancel_futures=True)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[Ticket]:
        """Let a request in, or refuse it before its body is read.

        Raises
        ------
        OverloadedError
            As many requests are inside as may run and wait.
        """
        if self._inside >= self.limits.running_requests + self.limits.waiting_requests:
            raise self._full("requests", self._mean_megapixels)
        self._inside += 1
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            if ticket.work is not None and not ticket.work.done():
                ticket.work.add_done_callback(lambda work: self._leave_late(ticket, work))
            else:
                self._leave(ticket)

    def hold(self, ticket: Ticket, count: int) -> None:
        """See `Ticket.hold`; a request alone may always hold what a body may measure."""
        others = self._held_bytes - ticket.held_bytes
        if others and self._held_bytes + count > self.limits.held_bytes:
            raise self._full("bytes", self._mean_megapixels)
        self._held_bytes += count
        ticket.held_bytes += count
        self._metrics.held.set(self._held_bytes)

    async def queue(self, ticket: Ticket, budget_seconds: float) -> None:
        """See `Ticket.start`."""
        waiting_megapixels = sum(other.megapixels for other in self._waiting)
        self._waiting.append(ticket)
        ticket.turn = asyncio.get_running_loop().create_future()
        self._start_waiting()
        excess = waiting_megapixels + ticket.megapixels - self.limits.waiting_megapixels
        if not ticket.turn.done() and excess > 0:
            self._waiting.remove(ticket)
            raise self._full("megapixels", excess)
        try:
            await asyncio.wait_for(ticket.turn, budget_seconds)
        except TimeoutError:
            raise self.give_up() from None

    def give_up(self) -> DeadlineError:
        """Count a request that is answered with `too_late`; the thread that stops later for it is not counted again."""
        self._metrics.refusals.labels("deadline").inc()
        return self.too_late()

    def too_late(self) -> DeadlineError:
        """Build the error of a request whose deadline has passed."""
        backlog = sum(ticket.megapixels for ticket in (*self._running, *self._waiting))
        return DeadlineError("the request's deadline passed before it was answered", self._seconds_for(backlog))

    def _full(self, what: str, megapixels_to_finish: float) -> OverloadedError:
        self._metrics.refusals.labels(what).inc()
        message = f"the service is full ({what}): come back after the time in Retry-After"
        return OverloadedError(message, self._seconds_for(megapixels_to_finish))

    def _seconds_for(self, megapixels: float) -> float:
        """Time until this many megapixels are done, at the pace of the requests finished last."""
        return megapixels * self._seconds_per_megapixel / self.limits.running_requests

    def _may_start(self, ticket: Ticket) -> bool:
        if len(self._running) >= self.limits.running_requests:
            return False
        large = [other.megapixels for other in self._running if other.is_large]
        if not ticket.is_large or not large:
            return True
        has_slot = len(large) < self.limits.running_requests - 1
        return has_slot and sum(large) + ticket.megapixels <= self.limits.running_megapixels

    def _start_waiting(self) -> None:
        for ticket in tuple(self._waiting):
            # A turn that is done was given up: its request has not come round to leaving yet.
            if ticket.turn is not None and not ticket.turn.done() and self._may_start(ticket):
                self._waiting.remove(ticket)
                self._running.append(ticket)
                ticket.started_at = time.monotonic()
                ticket.turn.set_result(None)
        self._report()

    def _leave(self, ticket: Ticket) -> None:
        self._inside -= 1
        self._held_bytes -= ticket.held_bytes
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        if ticket in self._running and ticket.started_at is not None:
            self._running.remove(ticket)
            self.finished += 1
            self._learn(ticket, time.monotonic() - ticket.started_at)
        self._start_waiting()

    def _leave_late(self, ticket: Ticket, work: asyncio.Future[Any]) -> None:
        """Free the slot of a thread that nobody waited for, and take note of its error, which nobody will ask for."""
        if not work.cancelled():
            work.exception()
        self._leave(ticket)

    def _learn(self, ticket: Ticket, seconds: float) -> None:
        new = 1 - _MEMORY_OF_RATE
        megapixels = max(ticket.megapixels, 1e-3)
        self._mean_megapixels += new * (megapixels - self._mean_megapixels)
        self._seconds_per_megapixel += new * (seconds / megapixels - self._seconds_per_megapixel)

    def _report(self) -> None:
        self._metrics.running.set(len(self._running))
        self._metrics.waiting.set(len(self._waiting))
        self._metrics.running_size.set(sum(ticket.megapixels for ticket in self._running))
        self._metrics.waiting_size.set(sum(ticket.megapixels for ticket in self._waiting))
        self._metrics.held.set(self._held_bytes)
