"""``POST /v1/preview``: one image in, a picture of it that every browser shows."""

from fastapi import APIRouter, Response

from monolayer_core.image_io import encode_png
from monolayer_service.dependencies import SingleImage
from monolayer_service.media_types import FORM_KINDS
from monolayer_service.routes.answers import ERROR_RESPONSES, describe_single

router = APIRouter()

_HEADERS = {
    "X-Preview-Factor": "rows and columns of the image that one pixel of the preview stands for",
    "X-Image-Height": "rows of the image",
    "X-Image-Width": "columns of the image",
}


@router.post(
    "/v1/preview",
    tags=["images"],
    summary="Show one image",
    response_class=Response,
    responses={
        200: {
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
            "headers": {name: {"description": text, "schema": {"type": "integer"}} for name, text in _HEADERS.items()},
            "description": "The image stretched to 8 bits as the networks see it, at most 2048 pixels a side",
        },
        **ERROR_RESPONSES,
    },
    openapi_extra=describe_single("preview"),
)
async def preview(visit: SingleImage) -> Response:
    """Answer with a PNG of the chosen plane, also of TIFF and 16 bit images, which browsers cannot show."""
    image, query, desk = visit
    rows = image.image.rows
    made = await desk.preview(image)
    body = await desk.write(encode_png, made.pixels)
    sizes = (made.factor, rows.height, rows.width)
    headers = {name: str(size) for name, size in zip(_HEADERS, sizes, strict=True)}
    return Response(body, media_type=FORM_KINDS[query.form].media_type, headers=headers)
