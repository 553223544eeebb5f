"""Being woken when something changes in a folder, where the system tells; network drives tell nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from watchfiles import awatch

STEP_MS, DEBOUNCE_MS = 20, 100
"""A file that is written changes many times a second: it is looked at ten times in it, not more."""


class Changes:
    """Tells of changes; looking at what they are is left to the listener."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the next change, or until the time is over; tell whether there was one."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    async def listen(self, folder: Path, *, recursive: bool) -> None:
        """Take note of changes until cancelled."""
        async for _ in awatch(
            folder,
            watch_filter=None,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            recursive=recursive,
            ignore_permission_denied=True,
        ):
            self._changed.set()


@asynccontextmanager
async def changes_in(folder: Path, *, recursive: bool) -> AsyncIterator[Changes]:
    """Listen to a folder."""
    changes = Changes()
    listening = asyncio.create_task(_listen_or_leave_it(changes, folder, recursive=recursive))
    try:
        yield changes
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen_or_leave_it(changes: Changes, folder: Path, *, recursive: bool) -> None:
    """Where the system cannot listen (too many folders, no such service), looking again from time to time must do."""
    try:
        await changes.listen(folder, recursive=recursive)
    except (OSError, RuntimeError):
        return
