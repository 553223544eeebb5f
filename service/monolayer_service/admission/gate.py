"""Admission: a permit before work, a bounded queue, and a truthful answer when both are full.

A request passes three points, and each refuses at once what does not fit:

1. `Gate.enter`, before a byte of the body is read: none comes in while as many requests run and wait as may, nor while
   every slot is taken and as many megapixels wait as may. Bodies that are still on their way have places of their own,
   so that callers who announce one and do not send it keep nobody else out;
2. `Ticket.hold`, as the body arrives, and before it where its length is announced: so many bytes may be held by all
   requests together;
3. `Ticket.start`, when the header has told the image's size: it waits for its turn, in requests and in megapixels.

Small images are not stuck behind a slide: slides never take the last free slot, and where a slide has to wait for
another one the small images behind it go first. Slides are not starved either: only other slides count against their
share of megapixels, and none passes one that has waited for longer. Small images have a share of the same size, so that
memory is bounded on any number of cores. An image that must be looked at as a whole counts there for the slide that
takes as much memory (`Ticket.load`); its time is that of its own megapixels.

Computing runs in threads, one a slot. A thread cannot be stopped from outside: when the deadline passes or the caller
goes away, the request's `Cancellation` says so. Tiles that wait for a network are removed then and there; the slot
stays taken until the thread has seen it.

`Retry-After` is the time in which enough of what is inside will be done, at the pace measured lately: enough that the
resource that was short has room again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Literal

from starlette.requests import ClientDisconnect

from monolayer_service.admission.limits import SLOW_UPLOAD_SECONDS, GateLimits
from monolayer_service.admission.pace import Pace
from monolayer_service.admission.ticket import Ticket
from monolayer_service.errors import DeadlineError, OverloadedError
from monolayer_service.telemetry.metrics import Metrics

_WEIGHT_OF_LAST = 0.2
"""Weight of the last request in the mean size of requests."""


class Gate:
    """Counts what is inside; used from the event loop only, so it needs no lock.

    Parameters
    ----------
    clock
        Seconds that only go forward, by which the pace is measured.
    """

    def __init__(self, limits: GateLimits, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.pool = ThreadPoolExecutor(limits.running_requests, thread_name_prefix="compute")
        self.finished = 0
        self._metrics = metrics
        self._clock = clock
        self._inside: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._running: list[Ticket] = []
        self._held_bytes = 0
        self._mean_megapixels = 1.0
        self._pace = Pace(clock())
        self._left_megapixels = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no request is inside."""
        return not self._inside

    def close(self) -> None:
        """End the threads; those still at work are told to leave."""
        for ticket in self._inside:
            ticket.cancellation.cancel(self.too_late())
        self.pool.shutdown(wait=True, cancel_futures=True)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[Ticket]:
        """Let a request in, or refuse it before its body is read; raises as `check_room`."""
        self.check_room()
        ticket = Ticket(self)
        self._inside.append(ticket)
        try:
            yield ticket
            ticket.progress(ticket.size)
        except ClientDisconnect:  # also while the body was being sent
            ticket.abandon()
            raise
        finally:
            if ticket.is_abandoned:
                self._metrics.disconnects.inc()
            if ticket.work is not None and not ticket.work.done():
                ticket.cancellation.cancel(self.too_late())
                ticket.work.add_done_callback(lambda work: self._leave_late(ticket, work))
            else:
                self._leave(ticket)

    @property
    def has_room(self) -> bool:
        """Whether `check_room` finds nothing in the way."""
        return self._shortage() is None

    def check_room(self) -> None:
        """Check that one more request may come in; a refusal is counted.

        Raises
        ------
        OverloadedError
            As many requests run and wait, as many bodies are on their way, or as many megapixels wait as may.
        """
        match self._shortage():
            case "requests":
                raise self._full("requests", self._until_a_place_is_free())
            case "uploads":
                raise self._full("uploads", SLOW_UPLOAD_SECONDS)
            case "megapixels":
                excess = _total(self._waiting) - self.limits.waiting_megapixels
                raise self._full("megapixels", self._seconds_for(excess + self._mean_megapixels))

    def _shortage(self) -> Literal["requests", "uploads", "megapixels"] | None:
        """Name what there is not enough of for another request, if anything."""
        limits = self.limits
        queued = len(self._running) + len(self._waiting)
        if queued >= limits.places:
            return "requests"
        if len(self._inside) - queued >= limits.uploads:
            return "uploads"
        # Not even the smallest would fit.
        if len(self._running) >= limits.running_requests and _total(self._waiting) >= limits.waiting_megapixels:
            return "megapixels"
        return None

    def _until_a_place_is_free(self) -> float:
        """Seconds until one of those who run and wait has left, taking them for alike."""
        queued = (*self._running, *self._waiting)
        return self._seconds_for(sum(ticket.size - ticket.done_megapixels for ticket in queued) / len(queued))

    def hold(self, ticket: Ticket, count: int) -> None:
        """See `Ticket.hold`; a request alone may always hold what a body may measure."""
        others = self._held_bytes - ticket.held_bytes
        excess = self._held_bytes + count - self.limits.held_bytes
        if others and excess > 0:
            raise self._full("bytes", self._seconds_for(self._ahead() * min(1.0, excess / others)))
        self._held_bytes += count
        ticket.held_bytes += count
        self._metrics.held.set(self._held_bytes)

    def queue(self, ticket: Ticket) -> None:
        """Let a request wait for its turn, or begin where it can; see `Ticket.start`."""
        excess = _total(self._waiting) + ticket.size - self.limits.waiting_megapixels
        is_one_too_many = len(self._running) + len(self._waiting) >= self.limits.places
        self._waiting.append(ticket)
        self._start_waiting()
        if ticket.turn.done() or not (is_one_too_many or excess > 0):
            return
        self._waiting.remove(ticket)
        if is_one_too_many:  # others have come in while its body was on its way
            raise self._full("requests", self._until_a_place_is_free())
        raise self._full("megapixels", self._seconds_for(excess))

    def give_up(self) -> DeadlineError:
        """Count a request that is answered with `too_late`; the thread that stops later for it is not counted again."""
        self._metrics.refusals.labels("deadline").inc()
        return self.too_late()

    def too_late(self) -> DeadlineError:
        """Build the error of a request whose deadline has passed."""
        return DeadlineError("the request's deadline passed before it was answered", self._seconds_for(self._ahead()))

    def _full(self, what: str, retry_after_seconds: float) -> OverloadedError:
        self._metrics.refusals.labels(what).inc()
        message = f"the service is full ({what}): come back after the time in Retry-After"
        return OverloadedError(message, retry_after_seconds)

    def _ahead(self) -> float:
        """Megapixels still to be computed of all requests inside; a size not known yet is taken for a mean one."""
        sizes = (self._mean_megapixels if ticket.megapixels is None else ticket.size for ticket in self._inside)
        return sum(sizes) - sum(ticket.done_megapixels for ticket in self._inside)

    def _seconds_for(self, megapixels: float) -> float:
        self._observe()
        return self._pace.seconds_for(megapixels)

    def _observe(self) -> None:
        """Measure the pace up to now; called before what runs changes."""
        megapixels = self._left_megapixels + sum(ticket.done_megapixels for ticket in self._running)
        self._pace.observe(self._clock(), megapixels, is_busy=bool(self._running))

    def _may_start(self, ticket: Ticket) -> bool:
        if len(self._running) >= self.limits.running_requests:
            return False
        alike = [other for other in self._running if other.is_large == ticket.is_large]
        if not alike:
            return True
        has_slot = not ticket.is_large or len(alike) < self.limits.running_requests - 1
        return has_slot and sum(other.load for other in alike) + ticket.load <= self.limits.running_megapixels

    def _start_waiting(self) -> None:
        self._observe()
        is_slide_held_up = False
        for ticket in tuple(self._waiting):
            # A turn that is done was given up: its request has not come round to leaving yet.
            if ticket.turn.done() or (ticket.is_large and is_slide_held_up):
                continue
            if not self._may_start(ticket):
                is_slide_held_up |= ticket.is_large
            else:
                self._waiting.remove(ticket)
                self._running.append(ticket)
                ticket.turn.set_result(None)
        self._report()

    def _leave(self, ticket: Ticket) -> None:
        self._observe()
        self._inside.remove(ticket)
        self._held_bytes -= ticket.held_bytes
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        if ticket in self._running:
            self._running.remove(ticket)
            self._left_megapixels += ticket.done_megapixels
            self._mean_megapixels += _WEIGHT_OF_LAST * (ticket.size - self._mean_megapixels)
            self.finished += 1
        self._start_waiting()

    def _leave_late(self, ticket: Ticket, work: asyncio.Future[Any]) -> None:
        """Free the slot of a thread that nobody waited for, and take note of its error, which nobody will ask for."""
        if not work.cancelled():
            work.exception()
        self._leave(ticket)

    def _report(self) -> None:
        self._metrics.running.set(len(self._running))
        self._metrics.waiting.set(len(self._waiting))
        self._metrics.running_size.set(_total(self._running))
        self._metrics.waiting_size.set(_total(self._waiting))
        self._metrics.held.set(self._held_bytes)


def _total(tickets: Iterable[Ticket]) -> float:
    """Megapixels of several requests."""
    return sum(ticket.size for ticket in tickets)
