"""The watch itself: looks, asks for what is whole, keeps the answers, and waits for more until it is told to stop."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol

from monolayer_client.async_client import AsyncClient
from monolayer_client.errors import (
    ClientError,
    InputError,
    RefusedError,
    RefusedOptionsError,
    ServiceFaultError,
    UnavailableError,
)
from monolayer_client.image_body import FileContent
from monolayer_client.outputs import summary_row
from monolayer_client.result_folder import ResultFolder
from monolayer_client.watching.backlog import Backlog, Trouble
from monolayer_client.watching.completeness import Arrival
from monolayer_client.watching.sightings import Sighting, image_id_of

FAULTS_BORNE = 3
"""Times that the service may fail over one content before it is listed."""

PAUSES_S = (0.5, 10.0)
"""First and longest pause where the service names none; each is twice the one before."""

_OF_THE_IMAGE = frozenset({400, 413, 415, 422})


@dataclass(frozen=True)
class Surroundings:
    """All that the watch sees of the world besides the service; tests put their own in place.

    Attributes
    ----------
    look : coroutine function
        Sees the files of the folder, see `sightings.look`.
    sight, read : coroutine functions
        See and read one file by its name.
    now_s : callable
        Seconds on a clock that only goes forward.
    wall_s : callable
        Seconds since 1970.
    changed : coroutine function
        Waits for a change in the folder, for so many seconds at most.
    pause : coroutine function
        Waits for so many seconds.
    """

    look: Callable[[], Awaitable[Mapping[str, Sighting]]]
    sight: Callable[[str], Awaitable[Sighting | None]]
    read: Callable[[str], Awaitable[bytes]]
    now_s: Callable[[], float]
    wall_s: Callable[[], float]
    changed: Callable[[float], Awaitable[object]]
    pause: Callable[[float], Coroutine[Any, Any, None]]


class Listener(Protocol):
    """Who is told what happens."""

    def answered(self, image_id: str, answer: Mapping[str, Any], latency_s: float | None) -> None:
        """Tell of an answer, and how long after the file was complete it came; None for what lay there at the start."""

    def troubles(self, troubles: list[Trouble]) -> None:
        """Tell of all images that are there and have no answer, when something about them has changed."""

    def waiting(self, reason: str | None) -> None:
        """Tell that images wait and for what; None when nothing holds them up any more."""

    def idle(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Tell that there is nothing to do for now, and the rows of the summary by image, which are new."""


@dataclass
class Watcher:
    """Answers the images of a folder as they come.

    Attributes
    ----------
    client : AsyncClient
        Made with a patience of 0: the watch waits for the service in its own way, so that it can be told to stop.
    results : ResultFolder
        Open.
    surroundings, listener
        What is seen, and who is told.
    settle_s : float
        How long a file must stand still to be whole, in seconds.
    rescan_s : float
        How often to look though nothing told of a change, in seconds.
    concurrency : int
        Images under way at a time.
    """

    client: AsyncClient
    results: ResultFolder
    surroundings: Surroundings
    listener: Listener
    settle_s: float
    rescan_s: float
    concurrency: int
    already_done: int = 0
    _rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _told: list[Trouble] | None = None
    _held_up: dict[str, str] = field(default_factory=dict)
    _has_new_rows: bool = False

    def __post_init__(self) -> None:
        self._backlog = Backlog(self.settle_s)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin no further image, let those end that the service has, and return from `run`."""
        self._stop.set()

    async def run(self) -> None:
        """Watch until told to stop; where it ends early for another reason, no result is half kept.

        Raises
        ------
        RefusedOptionsError
            An option is refused, whatever the image.
        """
        self._rows = await asyncio.to_thread(self.results.standing_rows)
        self._has_new_rows = bool(self._rows)
        stopping = asyncio.create_task(self._stop.wait())
        tasks: set[asyncio.Task[None]] = set()
        changed: asyncio.Task[None] | None = None
        try:
            while not self._stop.is_set():
                if changed is None or changed.done():
                    await self._look()
                    changed = asyncio.create_task(self._next_change())
                while len(tasks) < self.concurrency and (arrival := self._backlog.take()) is not None:
                    tasks.add(asyncio.create_task(self._do(arrival)))
                self._tell(rows_too=self._backlog.is_idle)
                done, _ = await asyncio.wait({stopping, changed, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks & done:
                    tasks.remove(task)
                    task.result()
            await asyncio.gather(*tasks)
        finally:
            left = [task for task in (stopping, changed, *tasks) if task is not None]
            for unneeded in left:
                unneeded.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            self._tell(rows_too=True)

    async def _look(self) -> None:
        around = self.surroundings
        try:
            files = await around.look()
        except OSError as error:
            self._hold_up("folder", f"the folder cannot be read: {error}")
            return
        self._hold_up("folder", None)
        self._backlog.observe(files, now_s=around.now_s(), wall_s=around.wall_s())

    async def _next_change(self) -> None:
        due_s = self._backlog.next_due_s()
        wait_s = self.rescan_s if due_s is None else min(self.rescan_s, max(0.0, due_s - self.surroundings.now_s()))
        await self.surroundings.changed(wait_s)

    async def _do(self, arrival: Arrival) -> None:
        """Read one image, and see to it unless its content has changed meanwhile."""
        around = self.surroundings
        try:
            content = await around.read(arrival.name)
            sighting = await around.sight(arrival.name)
            if sighting is None or sighting.stamp != arrival.stamp:
                self._backlog.put_off(arrival, around.now_s())
                return
            await self._see_to(arrival, content)
        except FileNotFoundError:
            self._backlog.put_off(arrival, around.now_s())
        except OSError as error:  # held open by its writer, a network drive gone, no room for the results
            self._backlog.put_off(arrival, around.now_s() + self.rescan_s, str(error))

    async def _see_to(self, arrival: Arrival, content: bytes) -> None:
        image_id = image_id_of(arrival.name)
        sha256 = hashlib.sha256(content).hexdigest()
        if await self._is_done(image_id, sha256):
            self.already_done += 1
            self._backlog.settle(arrival)
        elif (reason := self.results.refusal(image_id, sha256)) is not None:
            self._backlog.settle(arrival, reason)
        else:
            await self._ask(arrival, image_id, sha256, content)

    async def _is_done(self, image_id: str, sha256: str) -> bool:
        if not self.results.is_done(image_id, sha256.__eq__):
            return False
        try:
            await asyncio.to_thread(self.results.answer_of, image_id)
        except InputError:  # the file has been damaged since it was written
            return False
        return True

    async def _ask(self, arrival: Arrival, image_id: str, sha256: str, content: bytes) -> None:
        """Ask until there is an answer or a refusal, or the watch is to stop."""
        pause_s, faults = PAUSES_S[0], 0
        file = FileContent(content, PurePath(arrival.name).name)
        while True:
            try:
                answer = await self.results.make(self.client, image_id, file)
            except RefusedOptionsError:
                raise
            except ClientError as error:
                faults += isinstance(error, ServiceFaultError)
                is_of_the_image = isinstance(error, RefusedError) and error.status in _OF_THE_IMAGE
                if is_of_the_image or faults >= FAULTS_BORNE:
                    self._hold_up("service", None)
                    self._has_new_rows |= self._rows.pop(image_id, None) is not None
                    if is_of_the_image:
                        self.results.refuse(image_id, sha256, str(error))
                    self._backlog.settle(arrival, str(error))
                    return
                # A refusal that is not over the image, as of a key or a model, may end by itself.
                self._hold_up("service", str(error))
                named_s = error.retry_after_s if isinstance(error, UnavailableError) else None
                if not await self._pause(pause_s if named_s is None else named_s):
                    self._backlog.put_off(arrival, self.surroundings.now_s())
                    return
                pause_s = min(2 * pause_s, PAUSES_S[1])
            else:
                break
        self._hold_up("service", None)
        self._backlog.settle(arrival)
        self._rows[image_id] = summary_row(answer)
        self._has_new_rows = True
        latency_s = max(0.0, self.surroundings.wall_s() - arrival.complete_s) if arrival.is_new else None
        self.listener.answered(image_id, answer, latency_s)

    async def _pause(self, pause_s: float) -> bool:
        """Wait, and tell whether to go on after it; no when the watch is to stop."""
        pausing = asyncio.create_task(self.surroundings.pause(pause_s))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({pausing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pausing.cancel()
            stopping.cancel()
        return not self._stop.is_set()

    def _hold_up(self, what: str, reason: str | None) -> None:
        before = dict(self._held_up)
        if reason is None:
            self._held_up.pop(what, None)
        else:
            self._held_up[what] = reason
        if self._held_up != before:
            self.listener.waiting("; ".join(self._held_up.values()) or None)

    def _tell(self, *, rows_too: bool) -> None:
        troubles = self._backlog.troubles()
        if troubles != self._told:
            self._told = troubles
            self.listener.troubles(troubles)
        if rows_too and self._has_new_rows:
            self._has_new_rows = False
            self.listener.idle(self._rows)
