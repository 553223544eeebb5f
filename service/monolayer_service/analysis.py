"""What is done with one image: choose who answers, let it find the objects, and say so when it could not.

The order on a fault is half a batch, then the CPU (both in ``segmenters.faults``), then K-means where the caller allows
it, else a refusal that says when to come back.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from monolayer_core.errors import ImageTooLargeError, PredictionError
from monolayer_core.image_io import (
    Image,
    ImageHeader,
    ImageLimits,
    ReadOptions,
    check_limits,
    open_image,
    read_header,
)
from monolayer_core.pipeline import Segmentation
from monolayer_core.window_pipeline import why_whole
from monolayer_service.cancellation import Cancellation, WantedRows
from monolayer_service.errors import NetworkUnavailableError
from monolayer_service.options import Options, network_options_given
from monolayer_service.registry import RETRY_AFTER_SECONDS, Registry
from monolayer_service.segmenters import base
from monolayer_service.segmenters.base import ModelUse, Work, segment_options
from monolayer_service.segmenters.kmeans import KMeansSegmenter
from monolayer_service.segmenters.onnx import OnnxSegmenter
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.uploads import UploadedFile

log = structlog.get_logger(__name__)

NETWORK_FAILED = "the network failed on this image"

_LOOK_EVERY_SECONDS = 0.2
"""How often a thread that waits for others looks whether it is still wanted."""


@dataclass(frozen=True)
class NamedImage:
    """An image that was opened, with the name and the digest it is reported under, and its file's name if known."""

    image: Image
    image_id: str
    sha256: str
    file_name: str | None = None

    @property
    def size_px(self) -> int:
        """Pixels of the plane."""
        return self.image.rows.height * self.image.rows.width


@dataclass(frozen=True)
class Fallback:
    """Why K-means answered instead of the network, and which options of the caller's it could not honour."""

    reason: str
    ignored_options: list[str]


@dataclass(frozen=True)
class Analysis:
    """The objects of one image, and who found them."""

    source: NamedImage
    segmentation: Segmentation
    model: ModelUse | None
    fallback: Fallback | None
    confluency_of: Literal["cell", "nucleus", "object"]


def check_header(upload: UploadedFile, options: Options, limits: ImageLimits) -> ImageHeader:
    """Give a file's header, with the size of the plane; nothing is decompressed.

    Raises
    ------
    ImageTooLargeError
        There are more than `limits` admit.
    ImageError, OptionError
        See `monolayer_core.image_io.read_header`.
    """
    header = read_header(upload.data, _reading(options))
    check_limits(header, limits)
    return header


def decode(
    upload: UploadedFile, image_id: str | None, options: Options, limits: ImageLimits, cancellation: Cancellation
) -> NamedImage:
    """Decode the plane the caller chose, or open it to be read by rows where it is large and the format allows it.

    Raises the errors of `monolayer_core.image_io.open_image`. The image is called `image_id`, else after its file, else
    after its content. Wherever its rows are read, and between the planes of a maximum, `cancellation` is asked.
    """
    image = open_image(
        upload.data,
        _reading(options),
        limits,
        at_once_px=base.WHOLE_IMAGE_PX,
        still_wanted=cancellation.check,
    )
    image = replace(image, rows=WantedRows(image.rows, cancellation))
    sha256 = hashlib.sha256(upload.data).hexdigest()
    return NamedImage(image, image_id or upload.stem or sha256[:16], sha256, upload.file_name)


def _reading(options: Options) -> ReadOptions:
    return ReadOptions(
        axes=options.axes,
        series=options.series,
        channel=options.channel,
        z=options.z,
        t=options.t,
        pixel_size_um=options.pixel_size_um,
    )


class Analyst:
    """Chooses between the bundles and K-means, image by image.

    Parameters
    ----------
    max_whole_px
        Most pixels of an image that must be looked at as a whole; up to `base.WHOLE_IMAGE_PX` every image is.
    """

    def __init__(self, registry: Registry, metrics: Metrics, max_whole_px: int) -> None:
        self.registry = registry
        self._metrics = metrics
        self._max_whole_px = max_whole_px
        self._kmeans = KMeansSegmenter()
        self._unforeseen = threading.Lock()

    def weigh(self, header: ImageHeader, options: Options, default_model: str) -> float:
        """Give the megapixels of an image in windows whose computation takes as much memory as that of this one.

        Raises
        ------
        ImageTooLargeError
            The image must be looked at as a whole and is too large for it.
        NetworkUnavailableError
            There is no network, and K-means may not stand in.
        UnknownModelError
            As for `analyse`.
        """
        size_px = header.height * header.width
        if size_px <= base.WHOLE_IMAGE_PX:
            return size_px / 1e6
        reason = self._why_whole(header, options, default_model)
        if reason is None:
            return size_px / 1e6
        try:
            check_limits(header, ImageLimits(self._most_whole_px, base.WHOLE_DECODED_BYTES_PER_PX))
        except ImageTooLargeError as error:
            raise ImageTooLargeError(f"{error} where it must be looked at as a whole: {reason}") from None
        counted_px = max(size_px, header.decoded_bytes / base.WHOLE_DECODED_BYTES_PER_PX)
        return counted_px / 1e6 * base.WHOLE_BYTES_PER_PX / base.WINDOWS_BYTES_PER_PX

    def _why_whole(self, header: ImageHeader, options: Options, default_model: str) -> str | None:
        """Say why an image must be looked at as a whole, as far as that is known before the network has run."""
        if options.method == "kmeans":
            return "method=kmeans"
        dtype, choices = header.decoded_dtype, segment_options(options)
        if (reason := why_whole(dtype, None, choices)) is not None:
            return reason
        network, problem = self._find(options, default_model)
        if network is not None:
            return why_whole(dtype, network.network.card, choices)
        self._check_fallback(header.height * header.width, options, problem)
        return "K-means stands in"

    @property
    def _most_whole_px(self) -> int:
        """Most pixels of an image that is looked at as a whole."""
        return max(self._max_whole_px, base.WHOLE_IMAGE_PX)

    def analyse(self, source: NamedImage, options: Options, default_model: str, work: Work) -> Analysis:
        """Find the objects of an image.

        Raises
        ------
        NetworkUnavailableError
            No network can answer, and the caller refused K-means or the image is too large for it.
        UnknownModelError
            The caller named a model that is not in the folder.
        """
        analysis = self._choose(source, options, default_model, work)
        method = analysis.segmentation.method
        self._metrics.image_size.labels(method).observe(source.size_px / 1e6)
        self._metrics.objects.labels(method).inc(len(analysis.segmentation.class_ids))
        return analysis

    def _choose(self, source: NamedImage, options: Options, default_model: str, work: Work) -> Analysis:
        if options.method == "kmeans":
            return self._cluster(source, options, work, None)
        network, problem = self._find(options, default_model)
        if network is None:
            return self._fall_back(source, options, work, problem)
        try:
            segmentation, model = network.segment(source.image.rows, options, work)
        except PredictionError:
            log.exception("network failed", model=network.network.card.name)
            with self._one_at_a_time(source.size_px, work.cancellation):
                return self._fall_back(source, options, work, NETWORK_FAILED)
        return Analysis(source, segmentation, model, None, network.network.card.confluency_of)

    @contextmanager
    def _one_at_a_time(self, size_px: int, cancellation: Cancellation) -> Iterator[None]:
        """Let large images pass one after the other: they were admitted as images in windows, and are not any more."""
        if size_px <= base.WHOLE_IMAGE_PX:
            yield
            return
        while not self._unforeseen.acquire(timeout=_LOOK_EVERY_SECONDS):
            cancellation.check()
        try:
            yield
        finally:
            self._unforeseen.release()

    def _find(self, options: Options, default_model: str) -> tuple[OnnxSegmenter | None, str]:
        """Give the network that should answer, or why there is none."""
        name = options.model or default_model
        if options.model is None and name not in self.registry.bundles:
            return None, f"there is no bundle {name}"
        return self.registry.require(name).segmenter, f"the bundle {name} is not usable"

    def _check_fallback(self, size_px: int, options: Options, reason: str) -> None:
        """Check that K-means may stand in for a network; raises `NetworkUnavailableError`."""
        if options.fallback == "never":
            obstacle = "K-means was refused with fallback=never"
        elif size_px > self._most_whole_px:
            obstacle = (
                f"K-means, which must look at an image as a whole, cannot stand in: the image has {size_px} pixels, "
                f"{self._most_whole_px} are admitted"
            )
        else:
            return
        self._metrics.faults.labels("refused").inc()
        raise NetworkUnavailableError(f"{reason}, and {obstacle}", RETRY_AFTER_SECONDS)

    def _fall_back(self, source: NamedImage, options: Options, work: Work, reason: str) -> Analysis:
        self._check_fallback(source.size_px, options, reason)
        self._metrics.faults.labels("kmeans").inc()
        return self._cluster(source, options, work, Fallback(reason, network_options_given(options)))

    def _cluster(self, source: NamedImage, options: Options, work: Work, fallback: Fallback | None) -> Analysis:
        segmentation, _ = self._kmeans.segment(source.image.rows, options, work)
        return Analysis(source, segmentation, None, fallback, "object")
