"""What the calls ask for, as annotated dependencies: each checks one thing and hands it on.

For one image they stand in this order: options (nothing is read when they are wrong), admission, the bytes, the size in
the header, the turn, the decoded pixels.

All are coroutines, also those that wait for nothing: FastAPI runs plain functions in threads of a pool that decoding
shares, and a probe must not wait for one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, ParamSpec

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from monolayer_core.image_io import ImageLimits
from monolayer_service.admission.gate import Gate
from monolayer_service.admission.ticket import Ticket
from monolayer_service.analysis import Analysis, Analyst, DecodedImage, check_header, decode
from monolayer_service.negotiation import choose_form
from monolayer_service.options import Call, Options, read_options, refuse_idle_in
from monolayer_service.registry import Registry
from monolayer_service.segmenters.base import Work
from monolayer_service.settings import Settings
from monolayer_service.submission import ImageSet, SubmissionTable, analyse_submission, check_headers
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.telemetry.timings import Timings
from monolayer_service.uploads import BodyLimits, UploadedFile, read_image, read_images

P = ParamSpec("P")


@dataclass
class Services:
    """What one application owns; built at start, never at import."""

    settings: Settings
    metrics: Metrics
    gate: Gate
    registry: Registry
    analyst: Analyst
    is_stopping: bool = False


async def services_of(request: Request) -> Services:
    """Give the application's services."""
    services: Services = request.app.state.services
    return services


AppServices = Annotated[Services, Depends(services_of)]


async def timings_of(request: Request) -> Timings:
    """Give the request's stop watch, made by the telemetry middleware."""
    timings: Timings = request.state.timings
    return timings


RequestTimings = Annotated[Timings, Depends(timings_of)]

FORMS: dict[Call, tuple[str, ...]] = {
    "segment": ("json", "csv", "tiff", "png"),
    "confluency": ("json",),
    "submission": ("csv",),
}
"""What each call can give; the first is given to a caller who takes anything."""

_CALLS: dict[str, Call] = {f"/v1/{call}": call for call in FORMS}


def call_of(request: Request) -> Call:
    """Say which call is served; it stands in the route's path, whatever prefix a proxy adds."""
    return _CALLS[request.scope["route"].path]


async def options_of(request: Request, services: AppServices) -> Options:
    """Read the options; a model that is not there is known before the image is sent."""
    options = read_options(request.query_params.multi_items(), call_of(request))
    if options.model is not None:
        services.registry.require(options.model)
    return options


RequestOptions = Annotated[Options, Depends(options_of)]


@dataclass(frozen=True)
class Query:
    """What a request asks for, besides its image; `scores` of objects only where the answer has a place for them."""

    options: Options
    form: str
    default_model: str
    scores: bool


async def query_of(request: Request, options: RequestOptions, services: AppServices) -> Query:
    """Choose the form of the answer before anything is computed for it, and the bundle for those who name none."""
    call = call_of(request)
    form = choose_form(request.headers.get("accept", ""), FORMS[call], options.format)
    refuse_idle_in(form, options)
    settings = services.settings
    default_model = settings.confluency_model if call == "confluency" else settings.segment_model
    return Query(options, form, default_model, scores=call == "segment" and form == "json")


RequestQuery = Annotated[Query, Depends(query_of)]


async def admit(services: AppServices, _: RequestQuery) -> AsyncIterator[Ticket]:
    """Let the request in before its body is read; its place is free again before the answer is sent."""
    async with services.gate.enter() as ticket:
        yield ticket


Permit = Annotated[Ticket, Depends(admit, scope="function")]


async def upload_of(request: Request, permit: Permit, services: AppServices, timings: RequestTimings) -> UploadedFile:
    """Receive the one image of the request."""
    with timings.measure("upload"):
        return await read_image(request, permit, _body_limits(services.settings, max_files=1))


Upload = Annotated[UploadedFile, Depends(upload_of)]


async def uploads_of(
    request: Request, permit: Permit, services: AppServices, timings: RequestTimings
) -> list[UploadedFile]:
    """Receive the images of a submission."""
    limits = _body_limits(services.settings, max_files=services.settings.max_submission_images)
    with timings.measure("upload"):
        return await read_images(request, permit, limits)


Uploads = Annotated[list[UploadedFile], Depends(uploads_of)]


async def size_of(upload: Upload, options: RequestOptions, services: AppServices) -> float:
    """Check the size in megapixels that the header announces."""
    return await run_in_threadpool(check_header, upload, options, image_limits(services.settings)) / 1e6


Megapixels = Annotated[float, Depends(size_of)]


async def wait_for_turn(
    request: Request, permit: Permit, size: Megapixels, timings: RequestTimings
) -> AsyncIterator[Ticket]:
    """Wait for the turn of an image of that size."""
    async with _taken_turn(request, permit, size, timings):
        yield permit


Turn = Annotated[Ticket, Depends(wait_for_turn, scope="function")]


async def decode_upload(
    upload: Upload, turn: Turn, options: RequestOptions, services: AppServices, timings: RequestTimings
) -> DecodedImage:
    """Decode the plane the caller chose."""
    with timings.measure("decode"):
        return await turn.run(decode, upload, options.image_id, options, image_limits(services.settings))


SingleImage = Annotated[DecodedImage, Depends(decode_upload)]


async def check_uploads(uploads: Uploads, options: RequestOptions, services: AppServices) -> ImageSet:
    """Check the header of every image of a submission before any of them is computed."""
    return await run_in_threadpool(check_headers, uploads, options, image_limits(services.settings))


CheckedImages = Annotated[ImageSet, Depends(check_uploads)]


async def wait_for_set(
    request: Request, permit: Permit, images: CheckedImages, timings: RequestTimings
) -> AsyncIterator[Ticket]:
    """Wait for the turn of all images of a submission together."""
    async with _taken_turn(request, permit, images.megapixels, timings):
        yield permit


SetTurn = Annotated[Ticket, Depends(wait_for_set, scope="function")]


@dataclass(frozen=True)
class Desk:
    """Where the work of one request is done: in its thread, on its stop watch, until its deadline."""

    analyst: Analyst
    limits: ImageLimits
    ticket: Ticket
    timings: Timings

    async def analyse(self, image: DecodedImage, query: Query) -> Analysis:
        """Find the objects of one image."""
        return await self.ticket.run(self.analyst.analyse, image, query.options, query.default_model, self._work(query))

    async def analyse_set(self, images: ImageSet, query: Query) -> SubmissionTable:
        """Find the objects of every image of a submission."""
        return await self.ticket.run(
            analyse_submission,
            images,
            query.options,
            query.default_model,
            self.analyst,
            limits=self.limits,
            work=self._work(query),
        )

    def _work(self, query: Query) -> Work:
        return Work(self.timings, self.ticket.cancellation, self.ticket.progress, query.scores)

    async def write(self, render: Callable[P, bytes], *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Write the answer's body."""
        with self.timings.measure("encode"):
            return await self.ticket.run(render, *args, **kwargs)


async def desk_of(permit: Permit, services: AppServices, timings: RequestTimings) -> Desk:
    """Give the request a desk of its own."""
    return Desk(services.analyst, image_limits(services.settings), permit, timings)


RequestDesk = Annotated[Desk, Depends(desk_of)]


def image_limits(settings: Settings) -> ImageLimits:
    """Give core's decoder the bounds of the settings."""
    return ImageLimits(max_pixels=settings.max_image_pixels)


@asynccontextmanager
async def _taken_turn(request: Request, permit: Ticket, megapixels: float, timings: Timings) -> AsyncIterator[None]:
    """Wait in the queue; neither waits nor is anything computed for a caller who has gone away."""
    if await request.is_disconnected():
        raise ClientDisconnect
    watch = asyncio.create_task(_abandon_when_gone(request, permit))
    try:
        with timings.measure("queue"):
            await permit.start(megapixels)
        yield
    finally:
        watch.cancel()


async def _abandon_when_gone(request: Request, ticket: Ticket) -> None:
    """Wait for the caller to close the connection; the body has been read, so that nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.abandon()


def _body_limits(settings: Settings, *, max_files: int) -> BodyLimits:
    return BodyLimits(settings.max_body_bytes, max_files, settings.upload_seconds)
