"""The options of a request, as keyword arguments; their meaning and ranges are in the service's documentation."""

from collections.abc import Mapping
from typing import Literal, TypedDict


class ConfluencyOptions(TypedDict, total=False):
    """Options of every call; what is left out or None is decided by the service and the model."""

    model: str | None
    method: Literal["auto", "unet", "kmeans"]
    fallback: Literal["allow", "never"]
    axes: str | None
    series: int | str | None
    channel: int | str | None
    z: int | Literal["max"] | None
    t: int | None
    pixel_size_um: float | None
    min_area_px: int | None
    exclude_border: bool
    threshold: float | None
    clahe: bool
    flat_field: bool
    clusters: int | Literal["auto"]
    foreground: Literal["auto", "bright", "dark", "texture"]
    tta: bool
    image_id: str | None
    echo: Mapping[str, object]


class SegmentOptions(ConfluencyOptions, total=False):
    """Options of `segment`: what the answer holds of each object besides."""

    rle: Literal["kaggle", "coco", "none"]
    measurements: bool
    polygons: bool


def to_query(options: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Write options as query parameters; ``echo`` becomes one ``echo.NAME`` each, None is left out.

    Examples
    --------
    >>> to_query({"tta": True, "model": None, "threshold": 0.4, "echo": {"position": 3}})
    (('tta', 'true'), ('threshold', '0.4'), ('echo.position', '3'))
    """
    query: list[tuple[str, str]] = []
    for name, value in options.items():
        if name == "echo" and isinstance(value, Mapping):
            query.extend((f"echo.{key}", str(item)) for key, item in value.items())
        elif value is not None:
            query.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return tuple(query)
