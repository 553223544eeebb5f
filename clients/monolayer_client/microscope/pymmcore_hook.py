"""Frames of pymmcore-plus: each one that an acquisition gives is posted.

>>> from pymmcore_plus import CMMCorePlus  # doctest: +SKIP
>>> core = CMMCorePlus.instance()  # doctest: +SKIP
>>> with FramePoster(Client(), print) as poster, PymmcoreHook(core, poster):  # doctest: +SKIP
...     core.mda.run(sequence)
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

from monolayer_client.microscope.frame import FrameMetadata, Pixels, positive
from monolayer_client.microscope.poster import FramePoster

_AXES = ("t", "p", "c", "z")


class Signal(Protocol):
    """What is needed of a signal of psygnal or Qt."""

    def connect(self, slot: Callable[..., Any], /) -> Any:  # noqa: ANN401 - each library returns something else
        """Have a function called."""

    def disconnect(self, slot: Callable[..., Any], /) -> Any:  # noqa: ANN401
        """Have it called no more."""


class PymmcoreHook:
    """Posts each frame of `CMMCorePlus.mda` as long as its context lasts.

    Parameters
    ----------
    core : pymmcore_plus.CMMCorePlus
        Whose acquisitions.
    poster : FramePoster
        Where frames go; it is closed by whoever made it.
    """

    def __init__(self, core: Any, poster: FramePoster) -> None:  # noqa: ANN401 - the library need not be installed
        self._frame_ready: Signal = core.mda.events.frameReady
        self._poster = poster

    def __enter__(self) -> Self:
        self._frame_ready.connect(self.take)
        return self

    def __exit__(self, *_: object) -> None:
        self._frame_ready.disconnect(self.take)

    def take(self, pixels: Pixels, event: Any, metadata: Mapping[str, Any]) -> None:  # noqa: ANN401 - useq.MDAEvent
        """Post one frame; the signature is that of ``frameReady``."""
        self._poster.put(pixels, metadata_of(event, metadata))


def metadata_of(event: Any, metadata: Mapping[str, Any]) -> FrameMetadata:  # noqa: ANN401 - useq.MDAEvent
    """Read how a frame was taken from the event that asked for it and from what the microscope says."""
    asked = {"x": event.x_pos, "y": event.y_pos, "z": event.z_pos}
    stage_um = {axis: float(value) for axis, value in asked.items() if value is not None}
    measured = {axis: float(value) for axis, value in (metadata.get("position") or {}).items() if value is not None}
    return FrameMetadata(
        index={axis: int(event.index[axis]) for axis in _AXES if axis in event.index},
        pixel_size_um=positive(metadata.get("pixel_size_um")),
        channel=event.channel.config if event.channel is not None else None,
        exposure_ms=positive(metadata.get("exposure_ms")) or positive(event.exposure),
        position=event.pos_name,
        stage_um=stage_um | measured,
    )
