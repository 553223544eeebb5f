"""``POST /v1/segment``: one image in, its objects out."""

from fastapi import APIRouter, Response

from monolayer_service.dependencies import SingleImage
from monolayer_service.forms import render_segmentation
from monolayer_service.routes.answers import ERROR_RESPONSES, answer, describe_single
from monolayer_service.schemas import SegmentAnswer

router = APIRouter()

_FORMS = {
    "text/csv": {"schema": {"type": "string"}},
    "image/tiff": {"schema": {"type": "string", "format": "binary"}},
    "image/png": {"schema": {"type": "string", "format": "binary"}},
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
    """Find the objects; answer with run lengths and measurements, Kaggle rows, a label image or an overlay."""
    image, query, desk = visit
    analysis = await desk.analyse(image, query)
    body = await desk.write(render_segmentation, analysis, query.options, query.form)
    return answer(body, query.form, analysis)
