"""What is asked and how the answer is read, without any input or output: the two clients only carry it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2

from monolayer_client.errors import ClientError, Details, RefusedError, ServiceFaultError, UnavailableError
from monolayer_client.image_body import ImageInput, make_body
from monolayer_client.options import to_query
from monolayer_client.results import ConfluencyResult, SegmentResult, parse_confluency, parse_segment

Form: TypeAlias = Literal["csv", "table", "tiff", "overlay", "geojson", "rois", "coco", "ndjson"]
"""Other forms of a segmentation: Kaggle rows, a row an object, a label image of 16 or 32 bits, the outlines over the
image, GeoJSON for QuPath, a zip archive of ImageJ ROIs, a COCO data set, lines of progress with the JSON answer as the
last."""

T = TypeVar("T")

_WAIT_STATUSES = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read a good answer to it."""

    path: str
    read: Callable[[httpx2.Response], T]
    method: Literal["GET", "POST"] = "GET"
    query: tuple[tuple[str, str], ...] = ()
    content: bytes | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict)

    def interpret(self, response: httpx2.Response) -> T:
        """Read the answer.

        Raises
        ------
        RefusedError, UnavailableError, ServiceFaultError
            It is an error, or no answer of this service.
        """
        if not response.is_success:
            raise error_of(response)
        try:
            return self.read(response)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"the answer of {self.path} cannot be read ({type(error).__name__}: {error})"
            raise ServiceFaultError(message, status=response.status_code, request_id=_request_id(response)) from error


def segment_call(image: ImageInput, options: Mapping[str, object]) -> Call[SegmentResult]:
    """Ask for the objects of an image."""
    return _image_call("/v1/segment", image, options, lambda response: parse_segment(*_json(response)))


def form_call(image: ImageInput, form: Form, options: Mapping[str, object]) -> Call[bytes]:
    """Ask for the objects of an image in another form than JSON."""
    read = _lines if form == "ndjson" else lambda response: response.content
    return _image_call("/v1/segment", image, {**options, "format": form}, read)


def confluency_call(image: ImageInput, options: Mapping[str, object]) -> Call[ConfluencyResult]:
    """Ask for the numbers of an image."""
    return _image_call("/v1/confluency", image, options, lambda response: parse_confluency(*_json(response)))


def models_call() -> Call[list[dict[str, Any]]]:
    """Ask which bundles there are."""
    return Call("/v1/models", lambda response: list(response.json()["models"]))


def model_call(name: str) -> Call[dict[str, Any]]:
    """Ask for one bundle."""
    return Call(f"/v1/models/{quote(name, safe='')}", lambda response: dict(response.json()))


def version_call() -> Call[dict[str, Any]]:
    """Ask what is running."""
    return Call("/version", lambda response: dict(response.json()))


def ready_call() -> Call[None]:
    """Ask whether every bundle is loaded and verified."""
    return Call("/readyz", lambda _: None)


def answer_of_lines(last: bytes, response: httpx2.Response) -> httpx2.Response:
    """Give the last line of an answer with progress as if it had been asked for without: an error has its status."""
    headers = {name: response.headers[name] for name in ("X-Request-ID",) if name in response.headers}
    status = response.status_code
    if last.startswith(b'{"status":'):
        ended = json.loads(last)
        status = int(ended["status"])
        if (seconds := ended.get("retry_after_seconds")) is not None:
            headers["Retry-After"] = str(seconds)
    return httpx2.Response(status, headers=headers, content=last, request=response.request)


def error_of(response: httpx2.Response) -> ClientError:
    """Turn an error answer into the exception that says what to do."""
    try:
        body = response.json()["error"]
        service_code, message = str(body["code"]), str(body["message"])
    except (KeyError, TypeError, ValueError):
        body, service_code = {}, None
        message = f"{response.url} answered {response.status_code} without saying why; is it a Monolayer service?"
    details: Details = {
        "service_code": service_code,
        "status": response.status_code,
        "request_id": body.get("request_id") or _request_id(response),
    }
    if response.status_code in _WAIT_STATUSES:
        return UnavailableError(message, retry_after_s=retry_after_s(response), **details)
    if response.status_code < 500:
        return RefusedError(message, **details)
    return ServiceFaultError(f"{message} (request {details['request_id']})", **details)


def retry_after_s(response: httpx2.Response, now: datetime | None = None) -> float | None:
    """Read ``Retry-After``: seconds to wait, from a number or a date (RFC 9110, 10.2.3); None without a usable one."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _image_call(
    path: str, image: ImageInput, options: Mapping[str, object], read: Callable[[httpx2.Response], T]
) -> Call[T]:
    body = make_body(image)
    named = {**options, "image_id": options.get("image_id") or body.image_id}
    return Call(path, read, "POST", to_query(named), body.content, body.headers)


def _lines(response: httpx2.Response) -> bytes:
    """Give lines that end with an answer; raises as `Call.interpret` where they end with an error."""
    *_, last = response.content.rstrip(b"\n").split(b"\n")
    final = answer_of_lines(last, response)
    if not final.is_success:
        raise error_of(final)
    if "instances" not in json.loads(last):
        raise ValueError("the lines end before the answer")
    return response.content


def _json(response: httpx2.Response) -> tuple[dict[str, Any], str | None]:
    return json.loads(response.content), _request_id(response)


def _request_id(response: httpx2.Response) -> str | None:
    request_id: str | None = response.headers.get("X-Request-ID")
    return request_id
