"""How the bytes of an image come in: as a multipart field, as a raw body, or as base64 in JSON.

Bodies are counted while they arrive and kept in memory, never on disk. Nothing is decoded here.

All of this is done in the event loop, where a step that takes long keeps everybody waiting, probes too. So bodies are
written into streams that give them as bytes without copying them: to join or copy a gigabyte takes a second.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from monolayer_core.errors import EmptyImageError, ImageTooLargeError
from monolayer_service.admission.limits import SLOW_UPLOAD_SECONDS, SLOWEST_UPLOAD_BYTES_PER_SECOND
from monolayer_service.admission.ticket import Ticket
from monolayer_service.containment import contained
from monolayer_service.content_disposition import read_disposition
from monolayer_service.errors import BadBodyError, MediaTypeError, UnknownOptionError, UploadTimeoutError
from monolayer_service.json_image import decode_json_image
from monolayer_service.multipart import Part, read_parts
from monolayer_service.options import IMAGE_ID_PATTERN, MAX_IMAGE_ID_CHARACTERS

MULTIPART = "multipart/form-data"
JSON = "application/json"
RAW_MEDIA_TYPES = ("image/png", "image/jpeg", "image/tiff", "image/bmp", "application/x-npy")
IMAGE_FIELD = "image"
IMAGES_FIELD = "images"
CSV = "text/csv"
SUBMISSION_FIELD = "submission"
TABLE_FIELDS = (SUBMISSION_FIELD, "sizes")

MAX_JSON_BYTES = 64 * 2**20
JSON_MEMORY_PER_BYTE = 2
"""The text, three quarters of it as the file, and the piece that is being decoded."""


@dataclass(frozen=True)
class BodyLimits:
    """Largest body in bytes, most files in it, and the time it may take to arrive.

    `memory_per_byte` is how much memory reading it takes, the body itself included.
    """

    max_bytes: int
    max_files: int
    seconds: float
    memory_per_byte: int = 1


@dataclass(frozen=True)
class UploadedFile:
    """The bytes of one image as they were sent, with the name they were sent under."""

    data: bytes
    name: str | None = None

    @property
    def file_name(self) -> str | None:
        """The name without folders, in either system's spelling; None where ``image_id`` would not take it."""
        return _usable(PurePosixPath(PureWindowsPath(self.name or "").name).name)

    @property
    def stem(self) -> str | None:
        """The same without the last suffix."""
        return _usable(PurePosixPath(PureWindowsPath(self.name or "").name).stem)


def _usable(name: str) -> str | None:
    is_usable = (
        name != ".." and len(name) <= MAX_IMAGE_ID_CHARACTERS and re.fullmatch(IMAGE_ID_PATTERN, name) is not None
    )
    return name if is_usable else None


async def read_image(request: Request, ticket: Ticket, limits: BodyLimits) -> UploadedFile:
    """Read the one image of a request, in whatever form it comes.

    What is no multipart may give its file's name in the header ``Content-Disposition``.

    Raises
    ------
    ImageTooLargeError
        The body is larger than `limits` admit; known from its announced length where there is one.
    MediaTypeError
        The body's media type or content encoding is not read.
    BadBodyError
        The multipart, JSON or base64 is broken or holds not exactly one image.
    EmptyImageError
        There is an image of no bytes.
    UploadTimeoutError
        The body did not arrive in time.
    """
    media_type = _media_type(request)
    if media_type == MULTIPART:
        return (await _read_multipart(request, ticket, limits, IMAGE_FIELD))[0]
    if media_type != JSON and media_type not in RAW_MEDIA_TYPES:
        accepted = ", ".join((MULTIPART, JSON, *RAW_MEDIA_TYPES))
        raise MediaTypeError(
            f"the media type {media_type or 'of the body (none was given)'} is not read; send {accepted}"
        )
    data = await (_read_json if media_type == JSON else _read_raw)(request, ticket, limits)
    disposition = request.headers.get("content-disposition", "").encode("latin-1")
    return _not_empty(UploadedFile(data, read_disposition(disposition).file_name))


async def read_images(request: Request, ticket: Ticket, limits: BodyLimits) -> list[UploadedFile]:
    """Read the images of a submission, sent as multipart fields ``images``; raises as `read_image`."""
    media_type = _media_type(request)
    if media_type != MULTIPART:
        raise MediaTypeError(
            f"send the images as fields `{IMAGES_FIELD}` of {MULTIPART}, not as {media_type or 'nothing'}"
        )
    return await _read_multipart(request, ticket, limits, IMAGES_FIELD)


@dataclass(frozen=True)
class UploadedTables:
    """A submission table as it was sent, and the table of its images' sizes where one was."""

    submission: bytes
    sizes: bytes | None = None


async def read_tables(request: Request, ticket: Ticket, limits: BodyLimits) -> UploadedTables:
    """Read a submission table: the body itself as CSV, or multipart files `submission` and, if need be, `sizes`.

    Raises
    ------
    ImageTooLargeError
        The body is larger than `limits` admit; known from its announced length where there is one.
    MediaTypeError
        The body's media type or content encoding is not read.
    BadBodyError
        The multipart is broken, lacks the submission, or holds a table twice.
    UploadTimeoutError
        The body did not arrive in time.
    """
    media_type = _media_type(request)
    if media_type == CSV:
        return UploadedTables(await _read_raw(request, ticket, limits))
    if media_type != MULTIPART:
        raise MediaTypeError(f"send the table as {CSV} or as file of {MULTIPART}, not as {media_type or 'nothing'}")
    tables: dict[str, bytes] = {}
    for part in await _read_files(request, ticket, limits, TABLE_FIELDS):
        if part.name in tables:
            raise BadBodyError(f"form field {part.name!r} is there twice")
        tables[part.name] = part.stream.getvalue()
    if SUBMISSION_FIELD not in tables:
        raise BadBodyError(f"there is no form field {SUBMISSION_FIELD!r} in the body")
    return UploadedTables(**tables)


def _media_type(request: Request) -> str:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise MediaTypeError(f"bodies with Content-Encoding {encoding} are not read; send the file as it is")
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _counted_stream(request: Request, ticket: Ticket, limits: BodyLimits) -> AsyncIterator[bytes]:
    """Give the body's chunks; its length is checked before the first one where it is announced, and counted anyway."""
    announced = int(request.headers.get("content-length", 0))
    _refuse_large_body(announced, limits)
    ticket.hold(announced * limits.memory_per_byte)
    received = 0
    async for chunk in _in_time(request, limits):
        received += len(chunk)
        _refuse_large_body(received, limits)
        if (needed := received * limits.memory_per_byte) > ticket.held_bytes:
            ticket.hold(needed - ticket.held_bytes)
        yield chunk


async def _in_time(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """Give the body's chunks while it comes at a pace, however small, and is not longer on its way than it may be.

    A caller who stops sending holds a place among the uploads, and memory where a length is announced.
    """
    stream = request.stream()
    began = asyncio.get_running_loop().time()
    received = 0
    while True:
        paced = SLOW_UPLOAD_SECONDS + received / SLOWEST_UPLOAD_BYTES_PER_SECOND
        try:
            async with asyncio.timeout_at(began + min(limits.seconds, paced)):
                chunk = await anext(stream, None)
        except TimeoutError:
            if limits.seconds <= paced:
                raise UploadTimeoutError(f"the body did not arrive within {limits.seconds:g} s") from None
            pace = f"{SLOWEST_UPLOAD_BYTES_PER_SECOND >> 10} KiB a second"
            raise UploadTimeoutError(f"the body comes too slowly: at least {pace} are waited for") from None
        if chunk is None:
            return
        received += len(chunk)
        yield chunk


def _refuse_large_body(size: int, limits: BodyLimits) -> None:
    if size > limits.max_bytes:
        raise ImageTooLargeError(f"the body is larger than {limits.max_bytes} bytes, the most that is accepted")


async def _read_raw(request: Request, ticket: Ticket, limits: BodyLimits) -> bytes:
    stream = io.BytesIO()
    async for chunk in _counted_stream(request, ticket, limits):
        stream.write(chunk)
    return stream.getvalue()


async def _read_json(request: Request, ticket: Ticket, limits: BodyLimits) -> bytes:
    limits = replace(limits, max_bytes=min(limits.max_bytes, MAX_JSON_BYTES), memory_per_byte=JSON_MEMORY_PER_BYTE)
    try:
        body = await _read_raw(request, ticket, limits)
    except ImageTooLargeError as error:
        raise ImageTooLargeError(f"{error} as JSON; send larger images as they are, or as {MULTIPART}") from None
    return await run_in_threadpool(contained, decode_json_image, body)


async def _read_multipart(request: Request, ticket: Ticket, limits: BodyLimits, field: str) -> list[UploadedFile]:
    parts = await _read_files(request, ticket, limits, (field,))
    if not parts:
        raise BadBodyError(f"there is no form field {field!r} in the body")
    return [_not_empty(UploadedFile(part.stream.getvalue(), part.file_name)) for part in parts]


async def _read_files(request: Request, ticket: Ticket, limits: BodyLimits, fields: Sequence[str]) -> list[Part]:
    """Read the parts of a multipart body, all of which must be files in one of the fields."""
    content_type = request.headers["content-type"]
    chunks = _counted_stream(request, ticket, limits)
    parts = await read_parts(content_type, chunks, max_files=limits.max_files)
    for part in parts:
        if part.name not in fields:
            known = " or ".join(map(repr, fields))
            raise UnknownOptionError(
                f"form field {part.name[:64]!r} is not known: send {known}; options are query parameters"
            )
        if part.file_name is None:
            raise BadBodyError(f"form field {part.name!r} must be a file: give it a file name")
    return parts


def _not_empty(file: UploadedFile) -> UploadedFile:
    if not file.data:
        raise EmptyImageError("the image has no bytes")
    return file
