"""What the calls ask for, as annotated dependencies: the way of a request from its options to its desk.

For each kind of call it stands in one place, step by step: the options (nothing is read when they are wrong),
admission, the bytes, the size in the header, the turn. As dependencies of one another the
steps would be gone through anew for each that needs them: sixty for a request, half of the event loop's time.

Dependencies are coroutines, also those that wait for nothing: FastAPI runs plain functions in threads of a pool that
checking headers shares, and a probe must not wait for one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, NamedTuple, ParamSpec, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from monolayer_core.image_io import ImageLimits
from monolayer_core.preview import Preview, make_preview
from monolayer_service.admission.gate import Gate
from monolayer_service.admission.ticket import Ticket
from monolayer_service.analysis import Analysis, Analyst, NamedImage, check_header, decode
from monolayer_service.containment import contained
from monolayer_service.errors import NotReadyError, UnknownOptionError
from monolayer_service.media_types import FORM_KINDS, RECORD_FORMS, Form
from monolayer_service.negotiation import choose_form
from monolayer_service.options import Call, Options, read_options, refuse_idle_in
from monolayer_service.registry import RETRY_AFTER_SECONDS, Registry
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.base import Work
from monolayer_service.settings import Settings
from monolayer_service.submission import ImageSet, SubmissionTable, analyse_submission, check_headers
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.telemetry.timings import Timings
from monolayer_service.uploads import (
    TABLE_FIELDS,
    BodyLimits,
    UploadedFile,
    UploadedTables,
    read_image,
    read_images,
    read_tables,
)
from monolayer_service.validation import MAX_TABLE_BYTES

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Services:
    """What one application owns; built at start, never at import.

    Only `analyst` changes: another set of bundles comes with another one. A request keeps the one it has met. What
    `is_stopping` tells may be true before there are services: the application keeps it.
    """

    settings: Settings
    metrics: Metrics
    gate: Gate
    analyst: Analyst
    scheduler: TileScheduler
    is_stopping: Callable[[], bool]

    @property
    def registry(self) -> Registry:
        """The bundles that answer requests which come now."""
        return self.analyst.registry

    def check_ready(self) -> None:
        """Check that requests should be sent here.

        Raises
        ------
        NotReadyError
            The service is stopping, a bundle is not usable, or networks cannot run; says which.
        """
        if self.is_stopping():
            raise NotReadyError("the service is stopping")
        self.registry.check_ready()
        if (problem := self.scheduler.problem) is not None:
            raise NotReadyError(problem, RETRY_AFTER_SECONDS)


async def services_of(request: Request) -> Services:
    """Give the application's services."""
    services: Services = request.app.state.services
    return services


AppServices = Annotated[Services, Depends(services_of)]

FORMS: dict[Call, tuple[Form, ...]] = {
    "segment": tuple(FORM_KINDS),
    "confluency": ("json",),
    "submission": ("csv",),
    "preview": ("overlay",),  # a picture of the same media type
}
"""What each call can give; the first is given to a caller who takes anything."""

CALLS: dict[str, Call] = {f"/v1/{call}": call for call in FORMS}
"""The calls that take images, by the paths of their routes."""


def call_of(request: Request) -> Call:
    """Say which call is served; it stands in the route's path, whatever prefix a proxy adds."""
    return CALLS[request.scope["route"].path]


def accept_of(request: Request) -> str:
    """Give what the caller accepts; several lines of the header are one list (RFC 9110, 5.3)."""
    return ", ".join(request.headers.getlist("accept"))


@dataclass(frozen=True)
class Query:
    """What a request asks for, besides its image; `scores` of objects only where the answer has a place for them."""

    options: Options
    form: Form
    default_model: str
    scores: bool


def query_of(request: Request, services: Services) -> Query:
    """Read the options; a missing model and a form that cannot be given are known before the image is sent."""
    call, settings = call_of(request), services.settings
    options = read_options(request.query_params.multi_items(), call)
    if options.model is not None:
        services.registry.require(options.model)
    form = choose_form(accept_of(request), FORMS[call], options.format)
    refuse_idle_in(form, options)
    default_model = settings.confluency_model if call == "confluency" else settings.segment_model
    return Query(options, form, default_model, scores=call == "segment" and form in RECORD_FORMS)


@dataclass(frozen=True)
class Desk:
    """Where the work of one request is done: in a thread, on its stop watch, until its deadline.

    The steps are plain functions, to be called one after the other in one `run`: between two runs a thread would stand
    idle until the event loop comes round, and in an overload that has hundreds of refusals to give first.
    """

    analyst: Analyst
    limits: ImageLimits
    ticket: Ticket
    timings: Timings
    stay: AsyncExitStack

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the steps in a thread; raises as `Ticket.run`."""
        return await self.ticket.run(work, *args, **kwargs)

    def decode(self, upload: UploadedFile, query: Query) -> NamedImage:
        """Step: open the image that was sent."""
        wanted = self.ticket.cancellation
        with self.timings.measure("decode"):
            return decode(upload, query.options.image_id, query.options, self.limits, wanted)

    def analyse(self, image: NamedImage, query: Query) -> Analysis:
        """Step: find the objects of one image."""
        self.ticket.cancellation.check()
        return self.analyst.analyse(image, query.options, query.default_model, self._work(query))

    def analyse_set(self, images: ImageSet, query: Query) -> SubmissionTable:
        """Step: find the objects of every image of a submission."""
        return analyse_submission(
            images, query.options, query.default_model, self.analyst, limits=self.limits, work=self._work(query)
        )

    def preview(self, image: NamedImage) -> Preview:
        """Step: make a picture of one image."""
        self.ticket.cancellation.check()
        with self.timings.measure("prepare"):
            return make_preview(image.image.rows)

    def write(self, render: Callable[P, bytes], *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Step: write the answer's body."""
        self.ticket.cancellation.check()
        with self.timings.measure("encode"):
            return render(*args, **kwargs)

    def _work(self, query: Query) -> Work:
        return Work(self.timings, self.ticket.cancellation, self.ticket.progress, query.scores)


class ImageVisit(NamedTuple):
    """One image as it was sent, its header checked, what is asked of it, and where that is done."""

    upload: UploadedFile
    query: Query
    desk: Desk


async def receive_image(request: Request) -> AsyncIterator[ImageVisit]:
    """Take in a request with one image.

    Its place is free again before the answer is sent, so that no caller who reads slowly holds one. An answer that is
    computed while it is sent takes the stay over (``pop_all``).
    """
    services, timings = await services_of(request), _timings_of(request)
    query, limits, analyst = query_of(request, services), image_limits(services.settings), services.analyst
    async with AsyncExitStack() as stay:
        ticket = await stay.enter_async_context(services.gate.enter())
        with timings.measure("upload"):
            upload = await read_image(request, ticket, _body_limits(services.settings, max_files=1))
        header = await run_in_threadpool(contained, check_header, upload, query.options, limits)
        is_computed = call_of(request) != "preview"
        weight = analyst.weigh(header, query.options, query.default_model) if is_computed else 0.0
        megapixels = header.height * header.width / 1e6
        await stay.enter_async_context(_taken_turn(request, ticket, megapixels, timings, memory_megapixels=weight))
        yield ImageVisit(upload, query, Desk(analyst, limits, ticket, timings, stay))


SingleImage = Annotated[ImageVisit, Depends(receive_image, scope="function")]


class SetVisit(NamedTuple):
    """The images of a submission, their headers checked, what is asked of them, and where that is done."""

    images: ImageSet
    query: Query
    desk: Desk


async def receive_images(request: Request) -> AsyncIterator[SetVisit]:
    """Take in a submission; the headers of all images are checked before any of them is computed."""
    services, timings = await services_of(request), _timings_of(request)
    query, limits, analyst = query_of(request, services), image_limits(services.settings), services.analyst
    body_limits = _body_limits(services.settings, max_files=services.settings.max_submission_images)
    async with AsyncExitStack() as stay:
        ticket = await stay.enter_async_context(services.gate.enter())
        with timings.measure("upload"):
            uploads = await read_images(request, ticket, body_limits)
        options, model = query.options, query.default_model
        images = await run_in_threadpool(contained, check_headers, uploads, options, model, analyst, limits)
        weight = images.memory_megapixels
        turn = _taken_turn(request, ticket, images.megapixels, timings, memory_megapixels=weight)
        await stay.enter_async_context(turn)
        yield SetVisit(images, query, Desk(analyst, limits, ticket, timings, stay))


CheckedImages = Annotated[SetVisit, Depends(receive_images, scope="function")]


class TableVisit(NamedTuple):
    """A submission table, and the ticket of the thread that checks it."""

    tables: UploadedTables
    ticket: Ticket


async def receive_tables(request: Request) -> AsyncIterator[TableVisit]:
    """Take in a submission table that is to be checked; it has no pixels, and waits for a thread only."""
    services, timings = await services_of(request), _timings_of(request)
    if given := sorted(request.query_params):
        raise UnknownOptionError(f"option {given[0]!r} is not known: this call has none")
    choose_form(accept_of(request), ("json",))
    settings = services.settings
    limits = BodyLimits(min(settings.max_body_bytes, MAX_TABLE_BYTES), len(TABLE_FIELDS), settings.upload_seconds)
    async with AsyncExitStack() as stay:
        ticket = await stay.enter_async_context(services.gate.enter())
        with timings.measure("upload"):
            tables = await read_tables(request, ticket, limits)
        await stay.enter_async_context(_taken_turn(request, ticket, 0.0, timings))
        yield TableVisit(tables, ticket)


ReceivedTables = Annotated[TableVisit, Depends(receive_tables, scope="function")]


def image_limits(settings: Settings) -> ImageLimits:
    """Give core's decoder the bounds of the settings."""
    return ImageLimits(max_pixels=settings.max_image_pixels)


@asynccontextmanager
async def _taken_turn(
    request: Request, permit: Ticket, megapixels: float, timings: Timings, *, memory_megapixels: float = 0.0
) -> AsyncIterator[None]:
    """Wait in the queue; neither waits nor is anything computed for a caller who has gone away."""
    if await request.is_disconnected():
        raise ClientDisconnect
    watch = asyncio.create_task(_abandon_when_gone(request, permit))
    try:
        with timings.measure("queue"):
            await permit.start(megapixels, memory_megapixels)
        yield
    finally:
        watch.cancel()


async def _abandon_when_gone(request: Request, ticket: Ticket) -> None:
    """Wait for the caller to close the connection; the body has been read, so that nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.abandon()


def _timings_of(request: Request) -> Timings:
    """Give the request's stop watch, made by the telemetry middleware."""
    timings: Timings = request.state.timings
    return timings


def _body_limits(settings: Settings, *, max_files: int) -> BodyLimits:
    return BodyLimits(settings.max_body_bytes, max_files, settings.upload_seconds)
