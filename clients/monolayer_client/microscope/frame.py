"""A frame, what is known of how it was taken, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monolayer_client.results import ConfluencyResult

Pixels: TypeAlias = NDArray[Any]
"""``(height, width)``, as the camera gave it."""


@dataclass(frozen=True)
class FrameMetadata:
    """How a frame was taken; None where the acquisition does not say.

    Attributes
    ----------
    index : mapping
        Number of the time point ``t``, position ``p``, channel ``c`` and plane ``z``, from 0, those that there are.
    pixel_size_um : float or None
        Side of a pixel in the sample, in micrometres.
    channel : str or None
        Name of the channel.
    exposure_ms : float or None
        Time of exposure in milliseconds.
    position : str or None
        Name of the position.
    stage_um : mapping
        Where the stage was: ``x``, ``y`` and ``z`` in micrometres, those that are known.
    """

    index: Mapping[str, int] = field(default_factory=dict)
    pixel_size_um: float | None = None
    channel: str | None = None
    exposure_ms: float | None = None
    position: str | None = None
    stage_um: Mapping[str, float] = field(default_factory=dict)

    def echo(self) -> dict[str, str]:
        """Name what the service is to give back with its answer, as ``echo.NAME``.

        Examples
        --------
        >>> FrameMetadata({"t": 0, "p": 3}, channel="DAPI", stage_um={"x": 10.0}).echo()
        {'t': '0', 'p': '3', 'channel': 'DAPI', 'stage_x_um': '10.0'}
        """
        known = {
            **self.index,
            "channel": self.channel,
            "exposure_ms": self.exposure_ms,
            "position": self.position,
            **{f"stage_{axis}_um": value for axis, value in self.stage_um.items()},
        }
        return {name: str(value) for name, value in known.items() if value is not None}


@dataclass(frozen=True)
class Frame:
    """Pixels of our own, which the camera does not write over; `taken_s` is when they came, on `time.monotonic`."""

    pixels: Pixels = field(repr=False)
    metadata: FrameMetadata
    taken_s: float


@dataclass(frozen=True)
class FrameResult:
    """The service's answer to a frame, a `SegmentResult` where objects were asked for, and how long it took."""

    metadata: FrameMetadata
    result: ConfluencyResult
    latency_s: float


@dataclass(frozen=True)
class FrameFailure:
    """A frame without an answer, or whose answer the caller's function could not take."""

    metadata: FrameMetadata
    error: Exception


def positive(value: object) -> float | None:
    """Give a number above 0 and None for anything else: 0 is how Micro-Manager says that it does not know."""
    if isinstance(value, int | float | np.number) and value > 0:
        return float(value)
    return None
