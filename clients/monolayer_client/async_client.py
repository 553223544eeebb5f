"""The client for programs that do other things while they wait, or keep several requests under way.

The calls, their options and their errors are those of `monolayer_client.client.Client`.
"""

import asyncio
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import httpx2

from monolayer_client import calls
from monolayer_client.calls import Call, Form
from monolayer_client.connection import DEFAULT_URL, check_url, timeouts, unreachable, waiting_async
from monolayer_client.errors import UnavailableError
from monolayer_client.image_body import ImageInput
from monolayer_client.options import ConfluencyOptions, SegmentOptions
from monolayer_client.progress import LineReader, OnProgress, with_progress
from monolayer_client.results import ConfluencyResult, SegmentResult

T = TypeVar("T")


class AsyncClient:
    """A connection to one service, safe to share between the tasks of one event loop.

    Parameters
    ----------
    url : str
        Address of the service.
    transport : httpx2.AsyncBaseTransport, optional
        What carries the requests; tests hand in one that talks to the application without a port.
    patience_s : float
        How long to go on asking a service that is full, starting or out of reach, in seconds; the pauses it asks for
        (``Retry-After``) are kept. 0 asks once.
    timeout_s : float
        How long to wait for one answer, in seconds.

    Raises
    ------
    ValueError
        `url` does not begin with ``http://`` or ``https://``.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        patience_s: float = 60.0,
        timeout_s: float = 900.0,
    ) -> None:
        self.url = check_url(url)
        self._patience_s = patience_s
        self._http = httpx2.AsyncClient(base_url=self.url, transport=transport, timeout=timeouts(timeout_s))

    @overload
    async def segment(
        self,
        image: ImageInput,
        *,
        format: None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[SegmentOptions],
    ) -> SegmentResult: ...
    @overload
    async def segment(self, image: ImageInput, *, format: Form, **options: Unpack[SegmentOptions]) -> bytes: ...
    async def segment(
        self,
        image: ImageInput,
        *,
        format: Form | None = None,  # noqa: A002 - the option's name in the service
        on_progress: OnProgress | None = None,
        **options: Unpack[SegmentOptions],
    ) -> SegmentResult | bytes:
        """Find the objects of an image.

        Parameters
        ----------
        format : Form, optional
            Gives the bytes of the answer in another form, such as ``"geojson"``, instead of the objects.
        on_progress : callable, optional
            Is told, about once a second, how far the service is; large images take minutes. Not with `format`.

        Raises
        ------
        RefusedError
            The image or an option must be changed.
        UnavailableError
            The service was full or out of reach for longer than `patience_s`.
        ServiceFaultError
            The service failed.
        OSError
            The image file cannot be read.
        ValueError
            `format` and `on_progress` are both given.
        """
        if format is not None:
            if on_progress is not None:
                raise ValueError("the service tells how far it is with the JSON answer only: leave out format")
            return await self._perform(await asyncio.to_thread(calls.form_call, image, format, options))
        call = await asyncio.to_thread(calls.segment_call, image, options)
        if on_progress is None:
            return await self._perform(call)
        return await waiting_async(self._patience_s)(self._follow, with_progress(call), on_progress)

    async def confluency(self, image: ImageInput, **options: Unpack[ConfluencyOptions]) -> ConfluencyResult:
        """Measure confluency, count and quality of an image, without the objects; raises as `segment`."""
        return await self._perform(await asyncio.to_thread(calls.confluency_call, image, options))

    async def models(self) -> list[dict[str, Any]]:
        """List the bundles of the service, as it describes them."""
        return await self._perform(calls.models_call())

    async def model(self, name: str) -> dict[str, Any]:
        """Describe one bundle: its card, state and execution provider.

        Raises
        ------
        RefusedError
            There is none of that name.
        """
        return await self._perform(calls.model_call(name))

    async def version(self) -> dict[str, Any]:
        """Versions of the service and of its libraries."""
        return await self._perform(calls.version_call())

    async def is_ready(self) -> bool:
        """Ask once whether the service answers and every bundle is loaded and verified."""
        try:
            await self._send(calls.ready_call())
        except UnavailableError:
            return False
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _perform(self, call: Call[T]) -> T:
        return await waiting_async(self._patience_s)(self._send, call)

    async def _follow(self, call: Call[T], on_progress: OnProgress) -> T:
        try:
            async with self._http.stream(
                call.method, call.path, params=call.query, content=call.content, headers=call.headers
            ) as response:
                if not response.is_success:
                    await response.aread()
                    return call.interpret(response)
                lines = LineReader(response, on_progress)
                async for chunk in response.aiter_bytes():
                    lines.take(chunk)
        except httpx2.TransportError as error:
            raise unreachable(self.url, error) from error
        return call.interpret(lines.final())

    async def _send(self, call: Call[T]) -> T:
        try:
            response = await self._http.request(
                call.method, call.path, params=call.query, content=call.content, headers=call.headers
            )
        except httpx2.TransportError as error:
            raise unreachable(self.url, error) from error
        return call.interpret(response)
