"""Errors of the HTTP layer, the one table from errors to statuses, and the one body that all of them have.

The domain's errors (``monolayer_core.errors``) know no HTTP; here each gets its status. Whatever is not in the table is
a bug: it stays in the log with its traceback, and the caller gets a request id to quote.
"""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import cv2
import orjson
import structlog
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from monolayer_core import errors as core

log = structlog.get_logger(__name__)


class BadBodyError(core.MonolayerError):
    """The body is broken: not the multipart, JSON or base64 it claims to be, or without an image."""

    code = "invalid_body"


class UploadTimeoutError(core.MonolayerError):
    """The caller took too long to send the body."""

    code = "upload_timeout"


class MediaTypeError(core.MonolayerError):
    """The body has a media type or an encoding that is not read."""

    code = "unsupported_media_type"


class NotAcceptableError(core.MonolayerError):
    """None of the forms the caller accepts can be given."""

    code = "not_acceptable"


class UnknownOptionError(core.OptionError):
    """An option is not known here."""

    code = "unknown_option"


class UnknownModelError(core.MonolayerError):
    """The caller named a model that is not in the folder."""

    code = "unknown_model"


class RejectedImagesError(core.MonolayerError):
    """Some images of a submission cannot be used; `failures` says which and why."""

    code = "images_rejected"

    def __init__(self, message: str, failures: Sequence[Mapping[str, str]]) -> None:
        super().__init__(message)
        self.failures = failures


class RetryableError(core.MonolayerError):
    """Nothing is wrong with the request; it may succeed after `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class OverloadedError(RetryableError):
    """As many requests are computed and waiting as the service admits."""

    code = "overloaded"


class DeadlineError(RetryableError):
    """The request waited and computed longer than its deadline."""

    code = "deadline_exceeded"


class NotReadyError(RetryableError):
    """A bundle is not loaded or the service is going down."""

    code = "not_ready"


class NetworkUnavailableError(RetryableError):
    """The network failed or is not there, and K-means may not stand in: the caller or the image's size forbids it."""

    code = "network_unavailable"


class MemoryExhaustedError(RetryableError):
    """There was not enough memory to compute an answer."""

    code = "memory_exhausted"


class ErrorRow(NamedTuple):
    """One line of the table: what a caller sees when `error` is raised."""

    error: type[core.MonolayerError]
    status: HTTPStatus
    meaning: str


ERROR_TABLE: tuple[ErrorRow, ...] = (
    ErrorRow(core.EmptyImageError, HTTPStatus.BAD_REQUEST, "the body or the image field is empty"),
    ErrorRow(BadBodyError, HTTPStatus.BAD_REQUEST, "broken multipart, JSON or base64, or no image in it"),
    ErrorRow(UnknownModelError, HTTPStatus.NOT_FOUND, "no bundle of that name is in the folder"),
    ErrorRow(NotAcceptableError, HTTPStatus.NOT_ACCEPTABLE, "none of the accepted media types can be given"),
    ErrorRow(UploadTimeoutError, HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time"),
    ErrorRow(
        core.ImageTooLargeError,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "more pixels or bytes than the service admits, or more than it looks at as a whole where it has to",
    ),
    ErrorRow(MediaTypeError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the media type or encoding of the body is not read"),
    ErrorRow(
        core.UnknownFormatError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the bytes are in no image format that is read"
    ),
    ErrorRow(core.TruncatedImageError, HTTPStatus.UNPROCESSABLE_ENTITY, "the image ends early or is damaged"),
    ErrorRow(core.UnusableImageError, HTTPStatus.UNPROCESSABLE_ENTITY, "NaN, infinite or complex values, or no pixels"),
    ErrorRow(
        core.AmbiguousAxesError,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "several images, planes or channels and none was chosen",
    ),
    ErrorRow(core.OptionError, HTTPStatus.UNPROCESSABLE_ENTITY, "an option has a value that cannot be used"),
    ErrorRow(
        UnknownOptionError, HTTPStatus.UNPROCESSABLE_ENTITY, "an option is not known; the message names the nearest"
    ),
    ErrorRow(core.SubmissionError, HTTPStatus.UNPROCESSABLE_ENTITY, "the table of image sizes is malformed"),
    ErrorRow(
        RejectedImagesError, HTTPStatus.UNPROCESSABLE_ENTITY, "images of a submission failed; `failures` lists them"
    ),
    ErrorRow(OverloadedError, HTTPStatus.TOO_MANY_REQUESTS, "the queue is full; `Retry-After` says when to come back"),
    ErrorRow(
        NotReadyError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "a bundle is broken or missing, networks cannot run, or the service is stopping",
    ),
    ErrorRow(
        NetworkUnavailableError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no network answers, and K-means was refused or the image is too large for it",
    ),
    ErrorRow(MemoryExhaustedError, HTTPStatus.SERVICE_UNAVAILABLE, "memory ran out; others may have held it"),
    ErrorRow(
        DeadlineError, HTTPStatus.SERVICE_UNAVAILABLE, "the request's deadline passed; nothing was computed to an end"
    ),
)
"""Every error a caller can meet, but for the router's own (`not_found`, `method_not_allowed`) and `internal_error`."""

MEMORY_RETRY_SECONDS = 10.0
"""About how long the requests that hold the memory take."""

_MAX_SHOWN_PATH = 200
_ROUTER_CODES = {404: "not_found", 405: "method_not_allowed"}


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    failures: Sequence[Mapping[str, str]] | None = None,
) -> Response:
    """Shape the one body that every error has."""
    error: dict[str, Any] = {"code": code, "message": message, "request_id": correlation_id.get()}
    if failures is not None:
        error["failures"] = failures
    return Response(
        orjson.dumps({"error": error}),
        status_code=int(status),
        media_type="application/json",
        headers=dict(headers or {}),
    )


def respond_to(error: core.MonolayerError) -> Response:
    """Answer an error of the domain or of this layer with the status the table gives its class or nearest base."""
    row = next((row for base in type(error).__mro__ for row in ERROR_TABLE if row.error is base), None)
    if row is None:
        return respond_to_bug(error)
    headers = {}
    if isinstance(error, RetryableError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    failures = error.failures if isinstance(error, RejectedImagesError) else None
    if not isinstance(error, OverloadedError):  # of which each has its line with the status, and a metric the reason
        log.info("request refused", code=error.code, status=int(row.status), reason=str(error))
    return error_response(row.status, error.code, str(error), headers=headers, failures=failures)


def respond_to_failure(error: Exception) -> Response:
    """Answer whatever ended the work on a request."""
    if isinstance(error, core.MonolayerError):
        return respond_to(error)
    if isinstance(error, MemoryError) or _is_short_of_memory(error):
        log.error("memory exhausted", exc_info=error)
        message = "memory ran out while computing; it may suffice when fewer or smaller images are computed at once"
        return respond_to(MemoryExhaustedError(message, MEMORY_RETRY_SECONDS))
    return respond_to_bug(error)


def _is_short_of_memory(error: Exception) -> bool:
    """Whether OpenCV found no memory; it has no class of its own for that."""
    return isinstance(error, cv2.error) and getattr(error, "code", 0) == cv2.Error.StsNoMem


def respond_to_bug(error: Exception) -> Response:
    """Answer an error nobody foresaw: the traceback goes to the log, nothing of the inside to the caller."""
    log.error("internal error", exc_info=error)
    message = "the service failed to answer; please report this with the request id"
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)


def install_handlers(app: FastAPI) -> None:
    """Give every error of the application the same body, FastAPI's and Starlette's own included."""

    @app.exception_handler(core.MonolayerError)
    @app.exception_handler(MemoryError)
    @app.exception_handler(cv2.error)
    async def on_failure(_: Request, error: Exception) -> Response:
        return respond_to_failure(error)

    @app.exception_handler(ClientDisconnect)
    async def on_disconnect(_: Request, __: ClientDisconnect) -> Response:
        log.info("caller went away")
        return error_response(HTTPStatus.BAD_REQUEST, BadBodyError.code, "the body ends early")  # nobody reads this

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        code = _ROUTER_CODES.get(error.status_code, HTTPStatus(error.status_code).name.lower())
        message = f"{request.method} {request.url.path[:_MAX_SHOWN_PATH]}: {error.detail}"
        return error_response(error.status_code, code, message, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(_: Request, error: RequestValidationError) -> Response:
        message = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        return error_response(HTTPStatus.UNPROCESSABLE_ENTITY, core.OptionError.code, message)
