"""``POST /v1/submission``: several images in, one Kaggle table out."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response

from monolayer_service.dependencies import CheckedImages
from monolayer_service.forms import render_submission
from monolayer_service.media_types import FORM_KINDS
from monolayer_service.options import query_parameters
from monolayer_service.routes.answers import ERROR_RESPONSES, header_text
from monolayer_service.submission import SubmissionTable
from monolayer_service.uploads import IMAGES_FIELD, MULTIPART

router = APIRouter()

MAX_SKIPPED_BYTES = 4096
"""Most bytes of names in ``X-Skipped``; clients and proxies refuse answers whose headers are longer than 8 KB or so."""

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
async def submission(visit: CheckedImages) -> Response:
    """Answer with one table when every image succeeded; ``on_error=skip`` leaves failed ones out and names them."""
    images, query, desk = visit

    def compute() -> tuple[bytes, SubmissionTable]:
        table = desk.analyse_set(images, query)
        return desk.write(render_submission, table.rows), table

    body, table = await desk.run(compute)
    return Response(body, media_type=FORM_KINDS[query.form].media_type, headers=_announcements(table))


def name_skipped(image_ids: Sequence[str]) -> str:
    """Name images, percent-encoded, as far as a header has room for them; the rest is counted.

    Examples
    --------
    >>> name_skipped(["well 1", "a;b"])
    'well 1, a%3Bb'
    >>> name_skipped(["a" * 255] * 20)[-14:]
    'aaaaaa; 5 more'
    """
    names = [quote(image_id, safe=" ") for image_id in image_ids]
    ends = list(accumulate(len(name) + len(", ") for name in names))
    fitting = bisect_right(ends, MAX_SKIPPED_BYTES)
    listed, more = ", ".join(names[:fitting]), len(names) - fitting
    return f"{listed}; {more} more" if more else listed


def _announcements(table: SubmissionTable) -> dict[str, str]:
    """Name in headers what the table has no place for: who answered, images left out, K-means where it stepped in."""
    headers = {}
    if table.methods:
        headers["X-Method"] = ", ".join(sorted(table.methods))
    if table.models:
        headers["X-Model"] = header_text(", ".join(sorted(table.models)))
    if table.skipped:
        headers["X-Skipped"] = name_skipped(table.skipped)
    if table.fallbacks:
        reasons = (f"{reason} ({count} of {len(table.rows)} images)" for reason, count in table.fallbacks.items())
        headers["X-Fallback"] = header_text("; ".join(reasons))
    return headers
