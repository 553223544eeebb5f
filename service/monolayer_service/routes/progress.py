"""``application/x-ndjson``: lines that tell how far a request is, then the answer, or the error that ended it.

    {"progress": {"stage": "inference", "done_megapixels": 16.8, "total_megapixels": 67.1, "elapsed_seconds": 21.5}}
    {"image_id": ...}

A line comes at once and then about every second, also where nothing has changed: it shows proxies and callers that the
connection lives. Whatever is refused before the image has its turn is refused with its status, as for every form; later
the status has been sent, and the last line says what it would have been:

    {"status": 503, "retry_after_seconds": 4, "error": {"code": "deadline_exceeded", ...}}
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from monolayer_service.analysis import Analysis
from monolayer_service.dependencies import Desk
from monolayer_service.errors import respond_to_failure
from monolayer_service.media_types import FORM_KINDS

Compute = Callable[[], Coroutine[Any, Any, tuple[bytes, Analysis]]]

PROGRESS_SECONDS = 1.0
"""Time between two lines."""

_HEADERS = {"Vary": "Accept", "X-Accel-Buffering": "no"}
"""nginx would keep the lines until it has a buffer full of them."""


class ProgressResponse(StreamingResponse):
    """Tells how far the work is while it is done, and keeps the request's place inside until the work is done.

    Who reads slowly, or not at all, holds no place: the work goes on beside the lines, and leaves by itself.

    Parameters
    ----------
    compute
        Does the work and gives the last line, and what it was made of.
    desk
        Where it is done.
    """

    def __init__(self, compute: Compute, desk: Desk) -> None:
        self._stay = desk.stay.pop_all()
        lines = _lines(compute, desk, self._stay)
        super().__init__(lines, media_type=FORM_KINDS["ndjson"].media_type, headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines."""
        async with self._stay:  # where the caller goes away before the work has begun, or is done
            await super().__call__(scope, receive, send)


async def _lines(compute: Compute, desk: Desk, stay: AsyncExitStack) -> AsyncIterator[bytes]:
    async def compute_and_leave() -> tuple[bytes, Analysis]:
        async with stay:
            return await compute()

    work = asyncio.create_task(compute_and_leave())
    work.add_done_callback(_hear_of_its_end)
    try:
        while not work.done():
            yield orjson.dumps({"progress": _progress(desk)}) + b"\n"
            await asyncio.wait({work}, timeout=PROGRESS_SECONDS)
        if (error := work.exception()) is None:
            yield work.result()[0]
            yield b"\n"
        elif isinstance(error, Exception) and not isinstance(error, ClientDisconnect):
            yield _error_line(error)
    finally:
        work.cancel()


def _hear_of_its_end(work: "asyncio.Task[tuple[bytes, Analysis]]") -> None:
    """Ask how the work ended: where the caller has gone nobody else does, and asyncio would log a traceback."""
    if not work.cancelled():
        work.exception()


def _progress(desk: Desk) -> dict[str, Any]:
    ticket, timings = desk.ticket, desk.timings
    return {
        "stage": timings.stage,
        "done_megapixels": round(ticket.done_megapixels, 3),
        "total_megapixels": round(ticket.size, 3),
        "elapsed_seconds": round(timings.elapsed_seconds, 1),
    }


def _error_line(error: Exception) -> bytes:
    response = respond_to_failure(error)
    line: dict[str, Any] = {"status": response.status_code}
    if (seconds := response.headers.get("Retry-After")) is not None:
        line["retry_after_seconds"] = int(seconds)
    return orjson.dumps(line | orjson.loads(response.body)) + b"\n"
