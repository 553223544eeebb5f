"""``POST /v1/validate``: a Kaggle table in, what is wrong with it out."""

from typing import Any

from fastapi import APIRouter, Response

from monolayer_service.dependencies import ReceivedTables
from monolayer_service.media_types import FORM_KINDS
from monolayer_service.routes.answers import ERROR_RESPONSES
from monolayer_service.schemas import ValidationAnswer
from monolayer_service.uploads import CSV, MULTIPART, SUBMISSION_FIELD, TABLE_FIELDS
from monolayer_service.validation import validate_tables

router = APIRouter()

_NOT_GIVEN = {404}
"""Statuses of the calls on images that this one cannot give: there is no model to name."""

_BODY: dict[str, Any] = {
    "type": "object",
    "required": [SUBMISSION_FIELD],
    "properties": {field: {"type": "string", "format": "binary"} for field in TABLE_FIELDS},
}


@router.post(
    "/v1/validate",
    tags=["tables"],
    summary="Check a Kaggle submission",
    response_class=Response,
    responses={
        200: {"model": ValidationAnswer, "description": "What is wrong with the table, if anything"},
        **{status: text for status, text in ERROR_RESPONSES.items() if status not in _NOT_GIVEN},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {CSV: {"schema": {"type": "string"}}, MULTIPART: {"schema": _BODY}},
        }
    },
)
async def validate(visit: ReceivedTables) -> Response:
    """List everything that is wrong with the table ImageId,EncodedPixels, with line numbers.

    With a table ImageId,Height,Width of its images, in the form field `sizes`, names and places are checked too.
    """
    tables, ticket = visit
    body = await ticket.run(validate_tables, tables, ticket.cancellation)
    return Response(body, media_type=FORM_KINDS["json"].media_type)
