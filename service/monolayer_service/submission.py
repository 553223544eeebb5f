"""Several images in one call: every header is checked before anything is computed, and every failure is listed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from monolayer_core.column_runs import find_column_runs
from monolayer_core.errors import ImageError, ImageTooLargeError, MonolayerError, OptionError
from monolayer_core.image_io import ImageLimits
from monolayer_core.rle import encode_kaggle_runs
from monolayer_service.analysis import Analyst, check_header, decode
from monolayer_service.errors import RejectedImagesError
from monolayer_service.options import Options
from monolayer_service.segmenters.base import Work
from monolayer_service.uploads import UploadedFile


class UnusableImageIdError(MonolayerError):
    """An image has no name, or none that it could go by."""

    code = "image_id_unusable"


class RepeatedImageIdError(MonolayerError):
    """An image shares its name with another one."""

    code = "image_id_not_unique"


FAILURES_OF_ONE_IMAGE = (ImageError, OptionError, UnusableImageIdError, RepeatedImageIdError)
"""What is wrong with one image and not with the call; an option may suit one file and not the next (``z=3``)."""


@dataclass
class ImageSet:
    """The images of one submission that can be used so far, and what is wrong with the others."""

    files: dict[str, UploadedFile] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    megapixels: float = 0.0
    memory_megapixels: float = 0.0
    """Of the one that takes most, see `Analyst.weigh`: only one is computed at a time."""

    def reject(self, image_id: str, error: MonolayerError) -> None:
        """Note why an image cannot be used."""
        self.failures.append({"image_id": image_id, "code": error.code, "message": str(error)})

    def refuse_failures(self) -> None:
        """Refuse the whole set if any image of it failed.

        Raises
        ------
        RejectedImagesError
            Lists every image that failed.
        """
        if self.failures:
            names = ", ".join(failure["image_id"] for failure in self.failures)
            raise RejectedImagesError(f"{len(self.failures)} of the images cannot be used: {names}", self.failures)


@dataclass(frozen=True)
class SubmissionTable:
    """Kaggle rows by image, the images left out, who answered how often, and why K-means did where it stepped in."""

    rows: dict[str, list[str]]
    skipped: list[str]
    methods: Counter[str]
    models: Counter[str]
    fallbacks: Counter[str]


def check_headers(
    files: Sequence[UploadedFile], options: Options, model: str, analyst: Analyst, limits: ImageLimits
) -> ImageSet:
    """Read the header of every image, and note which cannot be used.

    Raises
    ------
    ImageTooLargeError
        The images together have more pixels than one image may have.
    NetworkUnavailableError, UnknownModelError
        See `Analyst.weigh`.
    """
    images = ImageSet()
    names = Counter(file.stem for file in files)
    for file in files:
        image_id = file.stem or ""
        try:
            refuse_ambiguous_name(image_id, names)
            header = check_header(file, options, limits)
            memory_megapixels = analyst.weigh(header, options, model)
        except FAILURES_OF_ONE_IMAGE as error:
            images.reject(image_id, error)
            continue
        images.files[image_id] = file
        images.megapixels += header.height * header.width / 1e6
        images.memory_megapixels = max(images.memory_megapixels, memory_megapixels)
    if images.megapixels * 1e6 > limits.max_pixels:
        raise ImageTooLargeError(
            f"{images.megapixels:.0f} megapixels altogether are more than are accepted in one call; send fewer images"
        )
    return images


def analyse_submission(
    images: ImageSet, options: Options, model: str, analyst: Analyst, *, limits: ImageLimits, work: Work
) -> SubmissionTable:
    """Find the objects of one image after the other; only one is decoded at a time.

    Raises
    ------
    RejectedImagesError
        An image failed, and ``on_error`` does not say to skip it. Nothing is computed once one has failed, but the
        remaining ones are decoded, so that the list is complete.
    """
    rows: dict[str, list[str]] = {}
    methods: Counter[str] = Counter()
    models: Counter[str] = Counter()
    fallbacks: Counter[str] = Counter()
    for image_id, file in images.files.items():
        work.cancellation.check()
        try:
            with work.timings.measure("decode"):
                source = decode(file, image_id, options, limits, work.cancellation)
            if images.failures and options.on_error == "fail":
                continue
            analysis = analyst.analyse(source, options, model, work)
        except FAILURES_OF_ONE_IMAGE as error:
            images.reject(image_id, error)
            continue
        methods[analysis.segmentation.method] += 1
        if analysis.model is not None:
            models[f"{analysis.model.name}/{analysis.model.version}"] += 1
        if analysis.fallback is not None:
            fallbacks[analysis.fallback.reason] += 1
        runs, wanted = analysis.segmentation.runs, work.cancellation.check
        with work.timings.measure("encode"):
            rows[image_id] = encode_kaggle_runs(find_column_runs(runs, check=wanted), check=wanted)
    if options.on_error == "fail":
        images.refuse_failures()
    skipped = [failure["image_id"] for failure in images.failures]
    return SubmissionTable(rows, skipped, methods, models, fallbacks)


def refuse_ambiguous_name(image_id: str, names: Counter[str | None]) -> None:
    """Refuse an image that could not be told from others in the table.

    Raises
    ------
    UnusableImageIdError
        There is no name that could stand in the table.
    RepeatedImageIdError
        There are several images of that name.
    """
    if not image_id:
        raise UnusableImageIdError(
            "every image needs a file name, of at most 255 characters, without control characters, and not beginning "
            "with =, +, - or @: its stem is the ImageId"
        )
    if names[image_id] > 1:
        raise RepeatedImageIdError(
            f"{names[image_id]} images have this name; each needs a file name of its own, whose stem is the ImageId"
        )
