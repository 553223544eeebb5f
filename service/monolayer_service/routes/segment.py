"""``POST /v1/segment``: one image in, its objects out."""

import functools

from fastapi import APIRouter, Response

from monolayer_service.analysis import Analysis, NamedImage
from monolayer_service.dependencies import SingleImage
from monolayer_service.forms import render_segmentation
from monolayer_service.routes.answers import ERROR_RESPONSES, answer, describe_single
from monolayer_service.routes.progress import ProgressResponse
from monolayer_service.schemas import SegmentAnswer

router = APIRouter()

_BINARY = {"schema": {"type": "string", "format": "binary"}}

_FORMS = {
    "text/csv": {"schema": {"type": "string", "description": "Kaggle rows, or with `format=table` a row an object"}},
    "image/tiff": _BINARY,
    "image/png": _BINARY,
    "application/geo+json": {"schema": {"type": "object", "description": "FeatureCollection with the outlines"}},
    "application/zip": _BINARY,
    "application/x-ndjson": {
        "schema": {
            "type": "string",
            "description": 'Lines `{"progress": {"stage", "done_megapixels", "total_megapixels", "elapsed_seconds"}}`, '
            "about one a second, then the JSON answer as one line; or, where the work failed after the stream had "
            'begun, the line `{"status", "error": {"code", "message", "request_id"}}`, with `retry_after_seconds` '
            "where the status has a `Retry-After`.",
        }
    },
}


@router.post(
    "/v1/segment",
    tags=["images"],
    summary="Find the objects of one image",
    response_class=Response,
    responses={200: {"model": SegmentAnswer, "content": _FORMS, "description": "Objects found"}, **ERROR_RESPONSES},
    openapi_extra=describe_single("segment"),
)
async def segment(visit: SingleImage) -> Response:
    """Find the objects; answer in the form that is asked for, JSON with run lengths where none is."""
    upload, query, desk = visit

    def compute(image: NamedImage) -> tuple[bytes, Analysis]:
        analysis = desk.analyse(image, query)
        wanted = desk.ticket.cancellation
        return desk.write(render_segmentation, analysis, query.options, query.form, wanted), analysis

    if query.form == "ndjson":
        image = await desk.run(desk.decode, upload, query)  # an image that cannot be read is refused with its status
        return ProgressResponse(functools.partial(desk.run, compute, image), desk)
    body, analysis = await desk.run(lambda: compute(desk.decode(upload, query)))
    return answer(body, query.form, analysis)
