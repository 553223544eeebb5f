"""What is done with one image: choose who answers, let it find the objects, and say so when it could not.

The order on a fault is half a batch, then the CPU (both in ``segmenters.faults``), then K-means where the caller allows
it, else a refusal that says when to come back.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from monolayer_core.errors import PredictionError
from monolayer_core.image_io import Image, ImageLimits, ReadOptions, check_limits, open_image, read_header
from monolayer_core.pipeline import Segmentation
from monolayer_service.cancellation import Cancellation, WantedRows
from monolayer_service.errors import NetworkUnavailableError
from monolayer_service.options import Options, network_options_given
from monolayer_service.registry import RETRY_AFTER_SECONDS, Registry
from monolayer_service.segmenters import base
from monolayer_service.segmenters.base import ModelUse, Work
from monolayer_service.segmenters.kmeans import KMeansSegmenter
from monolayer_service.segmenters.onnx import OnnxSegmenter
from monolayer_service.telemetry.metrics import Metrics
from monolayer_service.uploads import UploadedFile

log = structlog.get_logger(__name__)

NETWORK_FAILED = "the network failed on this image"


@dataclass(frozen=True)
class NamedImage:
    """An image that was opened, with the name and the digest it is reported under, and its file's name if known."""

    image: Image
    image_id: str
    sha256: str
    file_name: str | None = None

    @property
    def megapixels(self) -> float:
        """Size of the plane."""
        return self.image.rows.height * self.image.rows.width / 1e6


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


def check_header(upload: UploadedFile, options: Options, limits: ImageLimits) -> int:
    """Give the number of pixels of the plane that a file's header announces; nothing is decompressed.

    Raises
    ------
    ImageTooLargeError
        There are more than `limits` admit.
    ImageError, OptionError
        See `monolayer_core.image_io.read_header`.
    """
    header = read_header(upload.data, _reading(options))
    check_limits(header, limits)
    return header.height * header.width


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
    """Chooses between the bundles and K-means, image by image."""

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        self.registry = registry
        self._metrics = metrics
        self._kmeans = KMeansSegmenter()

    def analyse(self, source: NamedImage, options: Options, default_model: str, work: Work) -> Analysis:
        """Find the objects of an image.

        Raises
        ------
        NetworkUnavailableError
            No network can answer and the caller refused K-means.
        UnknownModelError
            The caller named a model that is not in the folder.
        """
        analysis = self._choose(source, options, default_model, work)
        method = analysis.segmentation.method
        self._metrics.image_size.labels(method).observe(source.megapixels)
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
            return self._fall_back(source, options, work, NETWORK_FAILED)
        return Analysis(source, segmentation, model, None, network.network.card.confluency_of)

    def _find(self, options: Options, default_model: str) -> tuple[OnnxSegmenter | None, str]:
        """Give the network that should answer, or why there is none."""
        name = options.model or default_model
        if options.model is None and name not in self.registry.bundles:
            return None, f"there is no bundle {name}"
        return self.registry.require(name).segmenter, f"the bundle {name} is not usable"

    def _fall_back(self, source: NamedImage, options: Options, work: Work, reason: str) -> Analysis:
        if options.fallback == "never":
            self._metrics.faults.labels("refused").inc()
            raise NetworkUnavailableError(f"{reason}, and K-means was refused with fallback=never", RETRY_AFTER_SECONDS)
        self._metrics.faults.labels("kmeans").inc()
        return self._cluster(source, options, work, Fallback(reason, network_options_given(options)))

    def _cluster(self, source: NamedImage, options: Options, work: Work, fallback: Fallback | None) -> Analysis:
        segmentation, _ = self._kmeans.segment(source.image.rows, options, work)
        return Analysis(source, segmentation, None, fallback, "object")
