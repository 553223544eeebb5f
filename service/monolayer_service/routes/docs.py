"""``GET /docs``: the calls in a browser, from files of our own; microscope computers often have no internet."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_PACKAGE = Path(__file__).parents[1]
_PAGE = _PACKAGE / "pages" / "docs.html"
_ASSETS = {
    path.name: path
    for path in (
        _PACKAGE / "pages" / "start.js",
        _PACKAGE / "vendor" / "swagger_ui" / "swagger-ui-bundle.js",
        _PACKAGE / "vendor" / "swagger_ui" / "swagger-ui.css",
    )
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "connect-src 'self'",
        "img-src 'self' data: blob:",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI styles its elements one by one
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@router.get("/docs")
async def page() -> FileResponse:
    """Give the page; it loads nothing from elsewhere and is not allowed to."""
    return FileResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"})


@router.get("/docs/{name}")
async def asset(name: str) -> FileResponse:
    """Give one of the three files the page is made of."""
    if name not in _ASSETS:
        raise HTTPException(404, "Not Found")
    return FileResponse(_ASSETS[name], headers={"Cache-Control": "max-age=86400", "X-Content-Type-Options": "nosniff"})
