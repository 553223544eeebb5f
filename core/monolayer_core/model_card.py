"""The model card: all that a program must know of a network to use it.

The card lies beside the network file. Nothing about a model is written in code: a new one with other channels, tile
sides or thresholds is a new card. Only numpy and pydantic are needed to read it.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator

from monolayer_core.card_blocks import CardModel, ConfluencyUncertainty, ObjectScore, TrainingLikeness
from monolayer_core.errors import BundleError

CARD_NAME = "model_card.json"
MODEL_NAME = "model.onnx"
TEST_INPUT_NAME = "test_input.npy"
TEST_OUTPUT_NAME = "test_output.npy"
INT8_MODEL_NAME = "model.int8.onnx"
INT8_TEST_OUTPUT_NAME = "test_output.int8.npy"
FLOAT16_MODEL_NAME = "model.fp16.onnx"
FLOAT16_TEST_OUTPUT_NAME = "test_output.fp16.npy"

Precision: TypeAlias = Literal["float32", "int8", "float16"]
"""In what kind of numbers a file of the bundle computes."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Percentile = Annotated[float, Field(ge=0.0, le=100.0)]
BUNDLE_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""Pattern of the names that a bundle, and with it its folder, can have."""

BundleName = Annotated[str, Field(pattern=BUNDLE_NAME)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A file of the bundle folder itself: no path leads out of it."""


class NormalizationSpec(CardModel):
    """How pixel values become uint8: a linear stretch between two percentiles of the whole image."""

    low_percentile: Percentile = 0.5
    high_percentile: Percentile = 99.5

    @model_validator(mode="after")
    def _check(self) -> "NormalizationSpec":
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be smaller than high_percentile")
        return self


class Output(CardModel):
    """One output channel of the network.

    ``class`` is the probability that a pixel lies inside an object of that class (for `instances`, away from a border
    between touching objects), ``boundary`` that it lies on such a border, ``distance`` the distance to the object's
    edge divided by the largest in that object.
    """

    name: str
    role: Literal["class", "boundary", "distance"]


class Thresholds(CardModel):
    """Values found on validation images by the trainer."""

    foreground: Fraction = Field(0.5, description="a pixel is foreground above this probability")
    seed: Fraction = Field(0.5, description="a pixel may start an object above this value of the seed map")
    min_seed_area_px: int = Field(0, ge=0, description="smaller groups of such pixels start no object")
    min_score: Fraction = Field(0.0, description="objects of a lower mean foreground probability are dropped")
    min_area_px: int = Field(0, ge=0, description="smaller objects are dropped; pixels of the image, here as elsewhere")
    max_hole_area_px: int = Field(0, ge=0, description="holes up to this area are filled")


class TrainingData(CardModel):
    """Where the weights come from."""

    name: str
    licence: str
    source: str
    images: int = Field(ge=0)
    objects: int = Field(ge=0)


class Agreement(CardModel):
    """How a file of lower precision compares with the float32 one of the same bundle, on the same images.

    Scores need labelled images; they are None where there were none.
    """

    images: int = Field(ge=1, description="images that both answered")
    subset: Literal["tuning", "training", "unlabelled"] = Field(description="what these images served for in training")
    level_difference: float = Field(ge=0, description="mean absolute difference of a probability, in steps of 1/255")
    confluency_difference: float = Field(
        ge=0, le=100, description="mean absolute difference of the confluency of an image, in percentage points"
    )
    kaggle_score_float32: Fraction | None = None
    kaggle_score: Fraction | None = Field(None, description="of the file of lower precision")
    confluency_error_float32: float | None = Field(None, description="mean absolute error, in percentage points")
    confluency_error: float | None = Field(None, description="that of the file of lower precision")


class Int8Network(CardModel):
    """The file whose convolutions compute in eight bits, for processors."""

    file: FileName = INT8_MODEL_NAME
    test_output: FileName = INT8_TEST_OUTPUT_NAME
    default_on_cpu: bool = Field(description="whether it answers on a CPU unless float32 is asked for")
    reason: str = Field(description="why it is the default there, or why it is not")
    calibration_tiles: int = Field(ge=1, description="tiles of training images from which the ranges were taken")
    speedup: float = Field(gt=0, description="time of float32 over its own, where the bundle was made")
    agreement: Agreement


class Float16Network(CardModel):
    """The file whose convolutions compute in half precision, for GPUs; used when it is asked for."""

    file: FileName = FLOAT16_MODEL_NAME
    test_output: FileName = FLOAT16_TEST_OUTPUT_NAME
    agreement: Agreement


class ModelCard(CardModel):
    """Everything the service, the evaluation and the parity check need to know of a network.

    Tile sides, halo and divisor are in pixels as the network sees them, areas and diameters in those of the image.
    Height and width of the network's input must be multiples of `divisor`. With a single entry in `tile_sides` and
    ``dynamic_size=False`` the network takes that side alone.
    """

    format_version: Literal[1] = 1
    name: BundleName
    version: str = Field(pattern=r"^[A-Za-z0-9._+-]{1,64}$")
    task: Literal["instances", "semantic"]
    confluency_of: Literal["cell", "nucleus"]
    channels: Literal["grey", "rgb"]
    axes: Literal["nyxc"] = "nyxc"
    outputs: tuple[Output, ...] = Field(min_length=1)
    normalization: NormalizationSpec = NormalizationSpec()
    input_scale: float = Field(1.0, gt=0, le=1, description="the network sees images at this part of their size")
    tile_sides: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    halo: int = Field(ge=0)
    divisor: int = Field(gt=0)
    dynamic_size: bool = True
    pixel_size_um: float | None = Field(None, gt=0)
    object_diameter_px: float | None = Field(None, gt=0)
    thresholds: Thresholds = Thresholds()
    likeness: TrainingLikeness | None = Field(None, description="what the training images looked like")
    score: ObjectScore | None = Field(None, description="how the IoU of an object is predicted")
    confluency_uncertainty: ConfluencyUncertainty | None = Field(None, description="how far confluency may be off")
    training_data: TrainingData
    metrics: dict[str, Any] = Field(default_factory=dict, description="scores on images held out of training")
    int8: Int8Network | None = Field(None, description="the file for the CPU, where the bundle has one")
    float16: Float16Network | None = Field(None, description="the file in half precision, where the bundle has one")
    files: dict[FileName, Sha256] = Field(default_factory=dict, description="SHA-256 of every other file of the bundle")
    versions: dict[str, str] = Field(default_factory=dict, description="libraries that made the bundle")

    @property
    def channel_count(self) -> int:
        """Number of input channels: 1 for grey, 3 for RGB."""
        return 1 if self.channels == "grey" else 3

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the object classes, in the order of the network's class outputs."""
        return tuple(output.name for output in self.outputs if output.role == "class")

    def files_of(self, precision: Precision) -> tuple[str, str] | None:
        """Name the network file and the test answer of a precision, or None where the bundle has no such file."""
        if precision == "float32":
            return MODEL_NAME, TEST_OUTPUT_NAME
        network = self.int8 if precision == "int8" else self.float16
        return (network.file, network.test_output) if network else None

    def output_index(self, role: Literal["boundary", "distance"]) -> int | None:
        """Index of the output channel with this role, or None where the network has none."""
        return next((i for i, output in enumerate(self.outputs) if output.role == role), None)

    @model_validator(mode="after")
    def _check(self) -> "ModelCard":
        if not self.classes:
            raise ValueError("a network needs at least one class output")
        if len(set(self.tile_sides)) != len(self.tile_sides) or list(self.tile_sides) != sorted(self.tile_sides):
            raise ValueError("tile_sides must be distinct and ascending")
        if any(side % self.divisor for side in self.tile_sides):
            raise ValueError(f"every tile side must be a multiple of the divisor {self.divisor}")
        if 2 * self.halo >= max(self.tile_sides):
            raise ValueError("twice the halo must be smaller than the largest tile side")
        return self


def read_card(bundle: Path) -> ModelCard:
    """Read the card of a bundle folder.

    Raises
    ------
    BundleError
        The card is missing or cannot be read, is not JSON or does not hold what a card must hold.
    """
    path = bundle / CARD_NAME
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{CARD_NAME} is missing") from None
    except OSError as error:
        raise BundleError(f"{CARD_NAME} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{CARD_NAME} is no valid model card: {error}") from error


def write_card(card: ModelCard, bundle: Path) -> None:
    """Write the card into a bundle folder, one field a line."""
    (bundle / CARD_NAME).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def verify_files(card: ModelCard, bundle: Path) -> None:
    """Compare the digest of every file the card lists with the file in the folder.

    Raises
    ------
    BundleError
        A listed file is missing, cannot be read, or its SHA-256 differs.
    """
    for name in card.files:
        read_verified(card, bundle, name)


def read_verified(card: ModelCard, bundle: Path, name: str) -> bytes:
    """Read a file that the card lists; what is given is what the digest holds for, whatever becomes of the file.

    Raises
    ------
    BundleError
        The file is missing, cannot be read, or its SHA-256 differs.
    """
    try:
        content = (bundle / name).read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{name} is missing") from None
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}") from error
    found, expected = hashlib.sha256(content).hexdigest(), card.files[name]
    if found != expected:
        raise BundleError(f"{name} is damaged: its SHA-256 is {found}, the card says {expected}")
    return content


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
