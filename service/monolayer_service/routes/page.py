"""``GET /``: images, their objects and their numbers in a browser; a page of files of our own, like ``/docs``."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "pages" / "page"
_INDEX = _FOLDER / "index.html"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ASSETS = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _MEDIA_TYPES}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "connect-src 'self'",
        "img-src 'self' blob:",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # nothing an answer holds can become markup
    )
)
_HEADERS = {
    "Cache-Control": "no-cache",  # the files belong together; a newer service has newer ones
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@router.get("/")
async def page() -> FileResponse:
    """Give the page; it loads nothing from elsewhere and is not allowed to."""
    return FileResponse(_INDEX, media_type="text/html", headers=_HEADERS | {"Content-Security-Policy": _POLICY})


@router.get("/page/{name}")
async def asset(name: str) -> FileResponse:
    """Give one of the files the page is made of."""
    if name not in _ASSETS:
        raise HTTPException(404, "Not Found")
    path = _ASSETS[name]
    return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers=_HEADERS)
