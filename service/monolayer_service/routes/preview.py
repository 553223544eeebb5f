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
    upload, query, desk = visit

    def compute() -> tuple[bytes, tuple[int, int, int]]:
        image = desk.decode(upload, query)
        made = desk.preview(image)
        return desk.write(encode_png, made.pixels), (made.factor, image.image.rows.height, image.image.rows.width)

    body, sizes = await desk.run(compute)
    headers = {name: str(size) for name, size in zip(_HEADERS, sizes, strict=True)}
    return Response(body, media_type=FORM_KINDS[query.form].media_type, headers=headers)
