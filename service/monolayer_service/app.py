"""The application, made by a function: its state is built when it starts, not when it is imported."""

import asyncio
import functools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monolayer_service.admission.gate import Gate
from monolayer_service.admission.limits import GateLimits
from monolayer_service.analysis import Analyst
from monolayer_service.compute import apply_plan, network_runs, plan_compute
from monolayer_service.containment import contained
from monolayer_service.dependencies import Services
from monolayer_service.early_refusals import EarlyRefusals
from monolayer_service.errors import install_handlers
from monolayer_service.head_requests import HeadRequests
from monolayer_service.housekeeping import keep_freed_memory, keep_house
from monolayer_service.registry import load_registry
from monolayer_service.reloading import Reloader, show_states
from monolayer_service.routes import (
    confluency,
    docs,
    health,
    models,
    page,
    preview,
    segment,
    submission,
    validate,
)
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.settings import Settings
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.telemetry.middleware import Telemetry

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings
        Without them they are read from the environment.
    """
    settings = Settings() if settings is None else settings
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        plan = plan_compute(settings)
        apply_plan(plan)
        keep_freed_memory()
        gate = Gate(GateLimits.of(settings, plan.running_requests), metrics)
        scheduler = TileScheduler(metrics, patience_seconds=settings.batch_wait_ms / 1000)
        load = functools.partial(load_registry, settings, plan, scheduler, metrics)
        registry = await run_in_threadpool(contained, load)
        runs = network_runs(plan, on_gpu=registry.uses_gpu)
        scheduler.start(runs.at_once, runs.guests, one_takes_all=runs.one_takes_all)
        services = Services(
            settings,
            metrics,
            gate,
            Analyst(registry, metrics, settings.max_whole_pixels),
            scheduler,
            lambda: is_stopping(app),
        )
        del registry  # the last request that has met these bundles lets go of them when they are replaced
        show_states(services)
        app.state.services, app.state.reloader = services, Reloader(services, load)
        housekeeping = asyncio.create_task(keep_house(gate, lambda: services.registry, settings.idle_seconds))
        yield
        housekeeping.cancel()
        app.state.reloader.close()
        gate.close()
        scheduler.close()

    app = FastAPI(
        title="Monolayer",
        summary="Cell masks, counts and confluency from microscope images",
        version=version("monolayer-service"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.is_stopping = False
    install_handlers(app)
    for routes in (segment, confluency, submission, validate, preview, models, health, docs, page):
        app.include_router(routes.router)
    app.add_middleware(HeadRequests)
    app.add_middleware(EarlyRefusals)
    app.add_middleware(LastAnswers)
    # The last one added stands outermost: every answer carries a request id, also that to an error nobody foresaw.
    app.add_middleware(Telemetry, metrics=metrics)
    app.add_middleware(CorrelationIdMiddleware, validator=lambda value: _WELL_FORMED_ID.fullmatch(value) is not None)
    return app


def stop_being_ready(app: FastAPI) -> None:
    """Let ``/readyz`` say 503 from now on, also where bundles are still loaded; what comes all the same is answered."""
    app.state.is_stopping = True


def reload_bundles(app: FastAPI) -> None:
    """Load the folder of bundles anew, in the background; called in the event loop of a service that has started."""
    reloader: Reloader = app.state.reloader
    reloader.request()


def is_stopping(app: FastAPI) -> bool:
    """Whether the service has been told to stop."""
    flag: bool = app.state.is_stopping
    return flag


class LastAnswers:
    """ASGI middleware: while the service is stopping, every answer is the last one of its connection.

    A caller who goes on using a connection may send a request at the very moment in which the port closes, and would
    lose it; one who is told connects anew, through a load balancer to another replica. Where a request was refused
    before its body was read the connection stays: closing it would reset it under a caller who is still sending, and
    who could not read why.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_received = scope["method"] in {"GET", "HEAD"}

        async def receive_and_note() -> Message:
            nonlocal is_received
            message = await receive()
            is_received = not message.get("more_body", False)
            return message

        async def send_and_part(message: Message) -> None:
            if message["type"] == "http.response.start" and is_received and is_stopping(scope["app"]):
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive_and_note, send_and_part)
