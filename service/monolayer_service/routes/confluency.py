"""``POST /v1/confluency``: one image in, only the numbers out."""

from fastapi import APIRouter, Response

from monolayer_service.analysis import Analysis
from monolayer_service.dependencies import SingleImage
from monolayer_service.forms import render_confluency
from monolayer_service.routes.answers import ERROR_RESPONSES, answer, describe_single
from monolayer_service.schemas import ConfluencyAnswer

router = APIRouter()


@router.post(
    "/v1/confluency",
    tags=["images"],
    summary="Measure how much of one image is covered",
    response_class=Response,
    responses={200: {"model": ConfluencyAnswer, "description": "Confluency, count and quality"}, **ERROR_RESPONSES},
    openapi_extra=describe_single("confluency"),
)
async def confluency(visit: SingleImage) -> Response:
    """Measure confluency, count and image quality; the fast path for a microscope that steers on the answer."""
    upload, query, desk = visit

    def compute() -> tuple[bytes, Analysis]:
        analysis = desk.analyse(desk.decode(upload, query), query)
        return desk.write(render_confluency, analysis, query.options), analysis

    body, analysis = await desk.run(compute)
    return answer(body, query.form, analysis)
