"""What is done around every request: timings, metrics, one log line, and an answer to errors nobody foresaw."""

import asyncio
import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monolayer_service.errors import NotReadyError, respond_to, respond_to_bug
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.telemetry.timings import Timings

log = structlog.get_logger(__name__)

_QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
"""Probes come every few seconds; their lines are written at the level `debug`."""


class Telemetry:
    """ASGI middleware. It stands inside the request id's middleware and outside everything that can fail."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and record it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        timings = Timings()
        scope.setdefault("state", {})["timings"] = timings
        status = 0

        async def send_with_timings(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if timings.seconds:
                    MutableHeaders(scope=message).append("Server-Timing", timings.header())
            await send(message)

        try:
            await self.app(scope, receive, send_with_timings)
        except asyncio.CancelledError:  # by the server, whose time to shut down is over
            log.warning("request cut off", is_answered=not status)
            if not status:
                message = "the service is stopping, and its time to finish requests is over; please send it again"
                response = respond_to(NotReadyError(message))
                response.headers["Connection"] = "close"
                await response(scope, receive, send_with_timings)
            raise
        except Exception as error:
            response = respond_to_bug(error)
            if status:  # the answer has begun: all that is left is to break it off
                raise
            await response(scope, receive, send_with_timings)
        finally:
            self._record(scope, status, time.perf_counter() - start, timings)

    def _record(self, scope: Scope, status: int, duration_seconds: float, timings: Timings) -> None:
        # The template, never the path: a label must not grow with what callers invent.
        route = getattr(scope.get("route"), "path", "unknown")
        self.metrics.request_duration.labels(route, status).observe(duration_seconds)
        for stage, seconds in timings.seconds.items():
            self.metrics.stage_duration.labels(stage).observe(seconds)
        write = log.debug if route in _QUIET_ROUTES else log.info
        write(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            duration_seconds=round(duration_seconds, 4),
            **{f"{stage}_seconds": round(seconds, 4) for stage, seconds in timings.seconds.items()},
        )
