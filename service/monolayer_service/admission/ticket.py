"""One request inside: its size, its turn, its deadline, and how its work is done in a thread."""

import asyncio
import contextvars
import functools
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, ParamSpec, Protocol, TypeVar

from starlette.requests import ClientDisconnect

from monolayer_service.admission.limits import SMALL_MEGAPIXELS, GateLimits
from monolayer_service.cancellation import Cancellation
from monolayer_service.containment import contained
from monolayer_service.errors import DeadlineError

P = ParamSpec("P")
T = TypeVar("T")


class TicketIssuer(Protocol):
    """The gate, as far as a request inside has to do with it."""

    @property
    def limits(self) -> GateLimits: ...  # noqa: D102 - as in `Gate`
    @property
    def pool(self) -> Executor: ...  # noqa: D102 - as in `Gate`
    def hold(self, ticket: "Ticket", count: int) -> None: ...  # noqa: D102 - as in `Gate`
    def queue(self, ticket: "Ticket") -> None: ...  # noqa: D102 - as in `Gate`
    def give_up(self) -> DeadlineError: ...  # noqa: D102 - as in `Gate`


class Ticket:
    """One request's way through the gate.

    Attributes
    ----------
    megapixels
        Size of its images; None until the header has told it.
    memory_megapixels
        See `start`.
    done_megapixels
        As much of it as is computed.
    cancellation
        Whether it is still wanted.
    """

    def __init__(self, gate: TicketIssuer) -> None:
        self._gate = gate
        self.held_bytes = 0
        self.megapixels: float | None = None
        self.memory_megapixels = 0.0
        self.done_megapixels = 0.0
        self.cancellation = Cancellation()
        loop = asyncio.get_running_loop()
        self.turn: asyncio.Future[None] = loop.create_future()
        self.work: asyncio.Future[Any] | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self._deadline = float("inf")

    @property
    def size(self) -> float:
        """Megapixels, 0 while nothing is known of them."""
        return self.megapixels or 0.0

    @property
    def is_large(self) -> bool:
        """Whether the image takes the memory of a slide, which has to leave a slot to the small ones."""
        return self.load > SMALL_MEGAPIXELS

    @property
    def load(self) -> float:
        """Megapixels it counts for among those computed at once."""
        return max(self.size, self.memory_megapixels)

    @property
    def is_abandoned(self) -> bool:
        """Whether the caller has gone away."""
        return self._gone.done()

    def hold(self, count: int) -> None:
        """Account for `count` more bytes of the body.

        Raises
        ------
        OverloadedError
            The bodies of all requests would take more memory than is set aside for them.
        """
        self._gate.hold(self, count)

    def progress(self, megapixels: float) -> None:
        """Account for what was computed since this was called last; called by the thread of the work."""
        self.done_megapixels = min(self.done_megapixels + megapixels, self.size)

    def abandon(self) -> None:
        """Note that the caller has gone away: what waits for this request ends at once."""
        if not self._gone.done():
            self._gone.set_result(None)

    async def start(self, megapixels: float, memory_megapixels: float = 0.0) -> None:
        """Wait for the turn of an image of this size; the deadline counts from here.

        Parameters
        ----------
        megapixels
            Size of its images.
        memory_megapixels
            Size of an image in windows whose computation takes as much memory, where that is larger.

        Raises
        ------
        OverloadedError
            As many megapixels are waiting as the queue may hold.
        DeadlineError
            The turn did not come in time.
        ClientDisconnect
            The caller has gone away.
        """
        limits = self._gate.limits
        budget = limits.deadline_seconds + limits.deadline_seconds_per_megapixel * megapixels
        self._deadline = time.monotonic() + budget
        self.megapixels, self.memory_megapixels = megapixels, memory_megapixels
        self._gate.queue(self)
        await self._wait_for(self.turn)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute in a thread of the gate's, with the context (request id) of the caller.

        Raises
        ------
        DeadlineError
            The deadline passed; the thread's result will be thrown away.
        ClientDisconnect
            The caller has gone away; so will it then.
        Exception
            What the function raised, see `contained`.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        call = functools.partial(function, *args, **kwargs)
        work = loop.run_in_executor(self._gate.pool, lambda: context.run(contained, call))
        self.work = work
        return await self._wait_for(work)

    async def _wait_for(self, awaited: "asyncio.Future[T]") -> T:
        seconds = max(0.0, self._deadline - time.monotonic())
        either: set[asyncio.Future[Any]] = {awaited, self._gone}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
        error = ClientDisconnect() if self._gone.done() else self._gate.give_up()
        self.cancellation.cancel(error)
        raise error
