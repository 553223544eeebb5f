"""What the calls on images share: the headers of an answer, and its description for OpenAPI."""

import string
from typing import Any
from urllib.parse import quote

from fastapi import Response

from monolayer_service.analysis import Analysis
from monolayer_service.media_types import FORM_KINDS, Form
from monolayer_service.options import Call, query_parameters
from monolayer_service.schemas import ErrorAnswer
from monolayer_service.uploads import IMAGE_FIELD, JSON, MULTIPART, RAW_MEDIA_TYPES

_BINARY = {"type": "string", "format": "binary"}

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "Empty or broken body, multipart, JSON or base64"},
    404: {"model": ErrorAnswer, "description": "Unknown model"},
    406: {"model": ErrorAnswer, "description": "No accepted media type can be given"},
    408: {"model": ErrorAnswer, "description": "The body did not arrive in time"},
    413: {"model": ErrorAnswer, "description": "Too large; nothing was computed"},
    415: {"model": ErrorAnswer, "description": "The media type or the content is no format that is read"},
    422: {"model": ErrorAnswer, "description": "Truncated or unusable image, unknown option or value"},
    429: {"model": ErrorAnswer, "description": "Full; come back after `Retry-After` seconds"},
    500: {"model": ErrorAnswer, "description": "A fault of the service; quote the request id"},
    503: {"model": ErrorAnswer, "description": "Not ready or too late; come back after `Retry-After` seconds"},
}


def answer(body: bytes, form: Form, analysis: Analysis) -> Response:
    """Send a rendered answer; who found the objects stands in headers too, since not every form has a place for it."""
    headers = {"X-Method": analysis.segmentation.method, "Vary": "Accept"}
    if analysis.model is not None:
        headers["X-Model"] = header_text(f"{analysis.model.name}/{analysis.model.version}")
    if analysis.fallback is not None:
        headers["X-Fallback"] = header_text(analysis.fallback.reason)
    if form != "json":
        file_name = quote(f"{analysis.source.image_id}{FORM_KINDS[form].suffix}", safe="")
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{file_name}"
    return Response(body, media_type=FORM_KINDS[form].media_type, headers=headers)


def header_text(text: str) -> str:
    """Write a text so that a header can carry it: what is not printable ASCII is percent-encoded.

    Examples
    --------
    >>> header_text("there is no bundle β")
    'there is no bundle %CE%B2'
    """
    return quote(text, safe=string.punctuation.replace("%", "") + " ")


def describe_single(call: Call) -> dict[str, Any]:
    """Describe the options and the forms of the body of a call that takes one image."""
    content: dict[str, Any] = {
        MULTIPART: {
            "schema": {"type": "object", "required": [IMAGE_FIELD], "properties": {IMAGE_FIELD: _BINARY}},
        },
        JSON: {
            "schema": {
                "type": "object",
                "required": [IMAGE_FIELD],
                "additionalProperties": False,
                "properties": {IMAGE_FIELD: {"type": "string", "format": "byte"}},
            },
        },
    }
    content |= {media_type: {"schema": _BINARY} for media_type in RAW_MEDIA_TYPES}
    return {"parameters": query_parameters(call), "requestBody": {"required": True, "content": content}}
