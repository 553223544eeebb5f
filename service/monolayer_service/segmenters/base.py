"""What every segmenter promises, whatever finds the objects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from monolayer_core.pipeline import Segmentation, SegmentOptions
from monolayer_core.row_source import RowSource
from monolayer_service.cancellation import Cancellation
from monolayer_service.options import Options
from monolayer_service.telemetry.timings import Timings

WHOLE_IMAGE_PX = 1 << 22
"""Larger images are read by rows and segmented in windows, where that can be done: the answer is the same, the memory
is bounded."""

WINDOWS_BYTES_PER_PX = 8
"""Most memory for a pixel of an image that is segmented in windows, its body and its answer included."""

WHOLE_BYTES_PER_PX = 100
"""Most memory for a pixel of an image that is looked at as a whole, its body and its answer included, where the decoded
plane takes no more than `WHOLE_DECODED_BYTES_PER_PX`; one that takes more has fewer pixels."""

WHOLE_DECODED_BYTES_PER_PX = 12
"""Those of colours in single precision."""


@dataclass(frozen=True)
class ModelUse:
    """The network that answered, and on which execution provider it really ran."""

    name: str
    version: str
    sha256: str
    provider: str


@dataclass(frozen=True)
class Work:
    """One request's side of the computation.

    Attributes
    ----------
    timings
        Where its time goes.
    cancellation
        Whether it is still wanted; asked wherever the computation may be left.
    progress
        Told the megapixels of the request that were computed since it was told last.
    scores
        Whether the answer has a place for the scores of objects.
    """

    timings: Timings
    cancellation: Cancellation
    progress: Callable[[float], None]
    scores: bool


class Segmenter(Protocol):
    """Finds objects in an image."""

    def segment(self, source: RowSource, options: Options, work: Work) -> tuple[Segmentation, ModelUse | None]:
        """Find the objects and say which network did (None: no network).

        Raises
        ------
        PredictionError
            The network failed on every way that was left.
        """
        ...


def segment_options(options: Options) -> SegmentOptions:
    """Translate the request's options into core's."""
    return SegmentOptions(
        threshold=options.threshold,
        min_area_px=options.min_area_px,
        exclude_border=options.exclude_border,
        clahe=options.clahe,
        flat_field=options.flat_field,
        tta=options.tta,
    )
