"""Frames of Pycro-Manager: each one that an acquisition gives is posted, and passed on as it came.

>>> from pycromanager import Acquisition  # doctest: +SKIP
>>> with FramePoster(Client(), print) as poster:  # doctest: +SKIP
...     with Acquisition("data", "run", image_process_fn=PycromanagerHook(poster).take) as acquisition:
...         acquisition.acquire(events)
"""

from collections.abc import Mapping
from typing import Any

from monolayer_client.microscope.frame import FrameMetadata, Pixels, positive
from monolayer_client.microscope.poster import FramePoster

_AXES = {"t": "time", "p": "position", "c": "channel", "z": "z"}
_STAGE = {"x": "XPosition_um_Intended", "y": "YPosition_um_Intended", "z": "ZPosition_um_Intended"}


class PycromanagerHook:
    """Posts each frame of an `Acquisition` that has `take` as its ``image_process_fn``.

    Parameters
    ----------
    poster : FramePoster
        Where frames go; it is closed by whoever made it.
    """

    def __init__(self, poster: FramePoster) -> None:
        self._poster = poster

    def take(self, pixels: Pixels, metadata: dict[str, Any]) -> tuple[Pixels, dict[str, Any]]:
        """Post one frame and give it back, so that it is saved and shown as without the hook."""
        self._poster.put(pixels, metadata_of(metadata))
        return pixels, metadata


def metadata_of(tags: Mapping[str, Any]) -> FrameMetadata:
    """Read how a frame was taken from its tags, as both of Pycro-Manager's engines write them.

    Channels, and positions of Micro-Manager's list, are named instead of numbered on their axes.
    """
    axes: Mapping[str, Any] = tags.get("Axes") or {}
    numbers = {letter: axes[name] for letter, name in _AXES.items() if isinstance(axes.get(name), int)}
    names = {name: axes[name] for name in ("position", "channel") if isinstance(axes.get(name), str)}
    return FrameMetadata(
        index=numbers,
        pixel_size_um=positive(tags.get("PixelSize_um")) or positive(tags.get("PixelSizeUm")),
        channel=names.get("channel") or tags.get("Channel"),
        exposure_ms=positive(_number(tags.get("Exposure"))),
        position=names.get("position") or tags.get("PositionName"),
        stage_um={axis: number for axis, name in _STAGE.items() if (number := _number(tags.get(name))) is not None},
    )


def _number(value: object) -> float | None:
    """Read a number that may be written as text, as Java's engine does."""
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
