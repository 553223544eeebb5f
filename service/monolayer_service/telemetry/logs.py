"""Structured logs: one JSON object a line, with the request's id wherever a request is served."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import cv2
import structlog
from asgi_correlation_id import correlation_id
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

from monolayer_service.settings import Settings

_worked_for: ContextVar[tuple[str, ...]] = ContextVar("_worked_for", default=())


@contextmanager
def working_for(request_ids: Iterable[str | None]) -> Iterator[None]:
    """Name the requests that a thread works for together, in whatever it logs in the ``with`` block."""
    token = _worked_for.set(tuple(dict.fromkeys(name for name in request_ids if name is not None)))
    try:
        yield
    finally:
        _worked_for.reset(token)


def add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the id of the request that is being served, or those of all that are worked for, into the event."""
    if (request_id := correlation_id.get()) is not None:
        event["request_id"] = request_id
    if request_ids := _worked_for.get():
        event["request_ids"] = list(request_ids)
    return event


def drop_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Drop the second copy of a message that uvicorn adds for colour terminals."""
    event.pop("color_message", None)
    return event


def is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether a line is none of uvicorn's on a request that it has cut off itself: the service writes its own."""
    error = record.exc_info[1] if record.exc_info else None
    return not (record.name == "uvicorn.error" and isinstance(error, asyncio.CancelledError))


def configure_logging(settings: Settings) -> None:
    """Send the service's logs and those of the standard library (uvicorn's) to standard error in one form.

    Tracebacks come without local variables: those are images, long and nobody's business.

    Called by the program's entry point only: a library or a test that imports the service keeps its own logging.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_request_id,
    ]
    final: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if settings.log_format == "json":
        final += [ExceptionRenderer(ExceptionDictTransformer(show_locals=False)), structlog.processors.JSONRenderer()]
    else:
        final.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    handler = logging.StreamHandler()
    handler.addFilter(is_no_cancellation)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=final, foreign_pre_chain=[structlog.stdlib.ExtraAdder(), drop_colours, *shared]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # What decoders have to say of files is up to whoever sent them, in any number of lines.
    for decoder in ("imagecodecs", "tifffile"):
        logging.getLogger(decoder).setLevel(logging.CRITICAL)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    logging.captureWarnings(capture=True)
    # One access line a request is written by the service itself, with its id and its timings.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
