"""The shapes of the answers, for OpenAPI and for whoever writes a client.

They describe; they do not check at run time: an answer may hold thousands of run lengths and is written to bytes
directly (``forms``). A contract test holds the two together.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from monolayer_core.model_card import ModelCard, Precision


class Schema(BaseModel):
    """Base of all answers: nothing may come that is not described."""

    model_config = ConfigDict(extra="forbid")


class PlaneInfo(Schema):
    """Which plane of the file was read, counted from 0; null along axes that the file does not have."""

    t: int | None
    channel: int | None = Field(description="or the colour sample, where one was chosen")
    channel_name: str | None = Field(description="as the file names it")
    z: int | Literal["max"] | None = Field(description="`max`: the maximum of all z planes")
    series: int | None = Field(description="which of the images that the file describes; null where it is one")
    series_name: str | None = Field(description="as the file names it")


class ImageInfo(Schema):
    """The image as it was read."""

    height: int
    width: int
    channels: int
    dtype: str
    pixel_size_um: float | None
    axes: str = Field(
        description="what the axes of everything in the file were taken for: T, C, Z, Y, X, S for colour samples, and "
        "Q for one of length 1 of which it is not known"
    )
    plane: PlaneInfo | None = Field(description="null where the file holds one plane and counts none")
    sha256: str = Field(description="of the bytes that were sent")


class ModelInfo(Schema):
    """The network that answered."""

    name: str
    version: str
    sha256: str = Field(description="of the ONNX file")
    provider: str = Field(
        description="what the network really ran on: an execution provider of ONNX Runtime, or `OpenVINO`"
    )


class FallbackInfo(Schema):
    """Why K-means answered instead of the network."""

    reason: str
    ignored_options: list[str] = Field(description="options of the request that act on networks only")


class Confluency(Schema):
    """How much of the image is covered."""

    percent: float = Field(ge=0, le=100)
    of: Literal["cell", "nucleus", "object"]
    area_px: int
    area_um2: float | None
    uncertainty_points: float | None = Field(
        description="half-width in percentage points of the interval around `percent` that holds the true value in 90 "
        "% of images like those of the training; null under K-means, where the model card has no such statement, and "
        "where `threshold` or `min_area_px` was given"
    )


class KMeansInfo(Schema):
    """How the clusters turned out, in ascending order of their centres."""

    k: int
    centres: list[list[float]] = Field(description="one value a channel, in the units of the image")
    shares: list[float] = Field(description="share of the pixels in each cluster, 0 to 1")
    foreground: str = Field(description="what was taken for foreground: bright, dark or texture")


class Quality(Schema):
    """Numbers about the image, and what stands out."""

    focus: float = Field(description="0 to 1; low where edges are blurred")
    saturated_fraction: float = Field(description="share of values at the end of the range")
    contrast: float = Field(description="0 to 1, between the 0.5th and the 99.5th percentile")
    structure: float = Field(description="0 to 1: how much of what varies is more than noise")
    unevenness: float = Field(description="0 to 1: fall-off of the illumination over the image")
    flags: list[
        Literal[
            "blank",
            "out_of_focus",
            "saturated",
            "low_contrast",
            "uneven_illumination",
            "pixels_not_square",
            "unlike_training_data",
        ]
    ] = Field(
        description="`pixels_not_square`: the file says that a pixel's sides differ, so that `pixel_size_um` is null; "
        "`unlike_training_data`: the network that answered was trained on other kinds of images"
    )


class BoundingBox(Schema):
    """First row and column, and how many, in pixels."""

    y: int
    x: int
    height: int
    width: int


class Point(Schema):
    """A place in image coordinates, in pixels; the centre of the first pixel is (0, 0)."""

    y: float
    x: float


class CocoRle(Schema):
    """Run lengths as pycocotools writes them."""

    size: tuple[int, int] = Field(description="height, width")
    counts: str


class Instance(Schema):
    """One object."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: int = Field(description="label, from 1")
    class_: str = Field(alias="class")
    score: float | None = Field(
        description="predicted IoU with the true object where the model card has `score`, else the mean foreground "
        "probability inside the object; null under K-means"
    )
    bbox: BoundingBox
    centroid: Point
    area_px: int
    area_um2: float | None = None
    equivalent_diameter_px: float | None = None
    equivalent_diameter_um: float | None = None
    eccentricity: float | None = None
    solidity: float | None = None
    mean_intensity: float | list[float] | None = None
    rle: str | CocoRle | None = None
    polygon: list[tuple[int, int]] | None = Field(None, description="vertices y, x")


class RleInfo(Schema):
    """How to read the run lengths."""

    format: Literal["kaggle", "coco"]
    order: Literal["F"] = Field(description="column-major: top to bottom, then left to right")


class Receipt(Schema):
    """All that the answer depends on: who has the same gets the same answer (`monolayer verify`)."""

    pixels_sha256: str = Field(
        description="of the text `height width channels dtype` and a line feed, followed by the decoded values row by "
        "row in little-endian order; the same for every file that holds these pixels"
    )
    model_sha256: str | None = Field(description="of the ONNX file; null under K-means")
    options: dict[str, str | int | float | bool] = Field(
        description="those of the request that are not at their default and shape the answer; who answered stands in "
        "`method` and `model`"
    )
    service_version: str


class ConfluencyAnswer(Schema):
    """Answer of `/v1/confluency`."""

    image_id: str
    image: ImageInfo
    method: Literal["unet", "kmeans"]
    model: ModelInfo | None
    fallback: FallbackInfo | None
    confluency: Confluency
    count: int
    counts: dict[str, int] = Field(description="objects by class")
    ratios: dict[str, float | None] | None = Field(
        None,
        description="where the model has several classes: objects of the first over objects of the second, for each "
        "pair `first:second` of classes in the model's order; null where there is no object of the second",
    )
    quality: Quality
    kmeans: KMeansInfo | None = None
    echo: dict[str, str] | None = None
    receipt: Receipt


class SegmentAnswer(ConfluencyAnswer):
    """Answer of `/v1/segment`."""

    instances: list[Instance]
    rle: RleInfo | None


class Finding(Schema):
    """Something that is wrong with a submission table."""

    message: str
    line: int | None = Field(description="from 1 with the header; null where it is about the whole table")
    image_id: str | None = Field(description="at most its first 255 characters")


class ValidationAnswer(Schema):
    """Answer of `/v1/validate`."""

    valid: bool
    image_count: int = Field(description="images with a well-formed row")
    object_count: int = Field(description="rows with run lengths")
    problem_count: int
    problems: list[Finding] = Field(description="the first 1000, in the order of their lines")


class BundleInfo(Schema):
    """One bundle of the folder."""

    name: str
    state: Literal["ready", "stale", "degraded", "broken"] = Field(
        description="`stale`: it works, but what lies in its folder now was refused when it was loaded"
    )
    problem: str | None
    provider: str | None = Field(
        description="what it really runs on: an execution provider of ONNX Runtime, or `OpenVINO`"
    )
    precision: Precision | None = Field(description="numbers that the file in use computes in")
    sha256: str | None = Field(description="of the ONNX file in use")
    tile_sides: list[int] = Field(
        description="sides of square tiles in pixels; on a CPU tiles fit the image (but for OpenVINO), none lower or "
        "narrower than the first of these"
    )
    warm_tile_sides: list[int]
    default_of: list[str] = Field(description="calls it answers when none is named")
    card: ModelCard | None


class BundleList(Schema):
    """All bundles of the folder."""

    models: list[BundleInfo]


class Health(Schema):
    """Answer of a probe."""

    status: Literal["alive", "ready"]
    models: list[str] = Field(default_factory=list, description="bundles that are loaded and verified")


class Version(Schema):
    """Versions of what is running."""

    service: str
    core: str
    python: str
    libraries: dict[str, str]


class Failure(Schema):
    """One image of a submission that could not be used."""

    image_id: str
    code: str
    message: str


class ErrorInfo(Schema):
    """What went wrong."""

    code: str
    message: str
    request_id: str
    failures: list[Failure] | None = None


class ErrorAnswer(Schema):
    """The one body of all errors."""

    error: ErrorInfo
