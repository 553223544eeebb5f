"""``POST /v1/submission``: several images in, one Kaggle table out."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response

from monolayer_service.dependencies import CheckedImages, RequestDesk, RequestQuery, SetTurn
from monolayer_service.forms import MEDIA_TYPES, render_submission
from monolayer_service.options import query_parameters
from monolayer_service.routes.answers import ERROR_RESPONSES, header_text
from monolayer_service.submission import SubmissionTable
from monolayer_service.uploads import IMAGES_FIELD, MULTIPART

router = APIRouter()

_BODY: dict[str, Any] = {
    "type": "object",
    "required": [IMAGES_FIELD],
    "properties": {IMAGES_FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}},
}


@router.post(
    "/v1/submission",
    tags=["images"],
    summary="Make a Kaggle submission of several images",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "Table ImageId,EncodedPixels"},
        **ERROR_RESPONSES,
    },
    openapi_extra={
        "parameters": query_parameters("submission"),
        "requestBody": {"required": True, "content": {MULTIPART: {"schema": _BODY}}},
    },
)
async def submission(images: CheckedImages, query: RequestQuery, _: SetTurn, desk: RequestDesk) -> Response:
    """Answer with one table when every image succeeded; ``on_error=skip`` leaves failed ones out and names them."""
    table = await desk.analyse_set(images, query)
    body = await desk.write(render_submission, table.rows)
    return Response(body, media_type=MEDIA_TYPES[query.form], headers=_announcements(table))


def _announcements(table: SubmissionTable) -> dict[str, str]:
    """Name in headers what the table has no place for: who answered, images left out, K-means where it stepped in."""
    headers = {}
    if table.methods:
        headers["X-Method"] = ", ".join(sorted(table.methods))
    if table.models:
        headers["X-Model"] = header_text(", ".join(sorted(table.models)))
    if table.skipped:
        headers["X-Skipped"] = ", ".join(quote(image_id, safe=" ") for image_id in table.skipped)
    if table.fallbacks:
        reasons = (f"{reason} ({count} of {len(table.rows)} images)" for reason, count in table.fallbacks.items())
        headers["X-Fallback"] = header_text("; ".join(reasons))
    return headers
