"""Everything that decides a training run, as one frozen value that is saved beside its result."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monolayer_core.model_card import BundleName
from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.targets import TargetSpec

CONFIG_NAME = "config.json"
MOBILENET_SIDE = 128

Positive = Annotated[float, Field(gt=0)]
Exponent = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class TrainConfig(BaseModel):
    """How a network is built and fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: BundleName = Field("nuclei", description="name of the model in its card")
    version: str = "0.1.0"
    seed: int = Field(0, ge=0, description="of the weights, the crops and the tuning subset")

    architecture: Literal["unet", "mobilenet-unet"] = "unet"
    channels: Literal["grey", "rgb"] = "rgb"
    input_scale: float = Field(1.0, gt=0.0, le=1.0, description="the network sees images at this part of their size")
    base_width: int = Field(16, ge=1, description="feature channels at full resolution")
    depth: int = Field(4, ge=1, le=6, description="how often the U-Net halves the image")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="at the coarsest levels")
    imagenet: bool = Field(True, description="start MobileNetV2 from ImageNet weights where they can be had")
    start_from: str | None = Field(None, description="run or bundle whose weights the U-Net starts from")

    kind: Literal["instances", "semantic"] = Field("instances", description="instances have a boundary class")
    distance: bool = Field(True, description="predict the distance to the object's edge, from which objects are seeded")
    boundary_weight: Positive = Field(3.0, description="of the boundary class in the cross-entropy")
    class_weights: tuple[Positive, ...] | None = Field(None, description="of each object class; all 1 by default")
    dice_weight: float = Field(0.5, ge=0.0)

    augmentation: AugmentationConfig = Field(default_factory=AugmentationConfig)
    kind_exponent: Exponent = Field(
        0.5, description="a modality is drawn with its frequency to this power: 1 all images alike, 0 all kinds alike"
    )
    group_exponent: Exponent = Field(
        0.5, description="within a modality, a group is drawn with its number of images to this power"
    )
    class_exponent: float = Field(
        0.5, ge=0.0, le=1.0, description="crops near objects by their class's frequency to this power, see the sampler"
    )
    near_object: Share = Field(0.8, description="share of crops centred near an object; the others lie anywhere")
    batch_size: int = Field(16, ge=1)
    crop_side: int = Field(256, ge=16, description="height and width of the crops, in pixels")
    epochs: int = Field(100, ge=1)
    steps_per_epoch: int | None = Field(None, ge=1, description="as many crops as there are images by default")
    minutes: Positive | None = Field(None, description="wall-clock budget; the learning rate follows the clock then")
    limit: int | None = Field(None, ge=1, description="train on this many images only")
    learning_rate: Positive = Field(2e-3, description="after the warm-up")
    warmup: float = Field(0.03, ge=0.0, lt=1.0, description="fraction of the run in which the learning rate rises")
    weight_decay: float = Field(1e-3, ge=0.0)
    clip_norm: Positive = 1.0
    average_momentum: float = Field(0.995, ge=0.0, lt=1.0, description="of the average of the weights")
    mixed_precision: bool | None = Field(None, description="convolve in bfloat16; by default where that is faster")
    workers: int = Field(1, ge=1, description="processes that make crops; the crops are the same whatever their number")

    tuning_fraction: float = Field(
        0.1,
        ge=0.0,
        lt=0.5,
        description="share of the training groups kept for choosing checkpoint and thresholds; "
        "with 0 the last network is kept and the thresholds are not tuned",
    )
    score_every: int = Field(5, ge=1, description="epochs between two instance scores")
    score_images: int = Field(40, ge=1, description="images of the tuning subset that are scored then")
    patience: int | None = Field(None, ge=1, description="stop after this many instance scores without a better one")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.architecture == "mobilenet-unet" and (self.channels != "rgb" or self.crop_side != MOBILENET_SIDE):
            raise ValueError(
                f"the MobileNetV2 U-Net takes RGB crops of {MOBILENET_SIDE} pixels: set channels and crop_side"
            )
        if self.kind == "semantic" and self.distance:
            raise ValueError("a semantic network has no distance output: set distance to false")
        if self.crop_side % self.divisor:
            raise ValueError(f"crop_side must be a multiple of {self.divisor}, which is 2 to the power of the depth")
        return self

    @property
    def divisor(self) -> int:
        """Height and width of an image must be multiples of this."""
        return 2**5 if self.architecture == "mobilenet-unet" else 2**self.depth

    @property
    def channel_count(self) -> int:
        """Channels of the image: 1 for grey, 3 for RGB."""
        return 1 if self.channels == "grey" else 3

    def targets(self, classes: tuple[str, ...]) -> TargetSpec:
        """Say what the network is to answer for a data set of these classes."""
        return TargetSpec(kind=self.kind, classes=classes, distance=self.distance)

    def category_weights(self, classes: int) -> tuple[float, ...]:
        """Weights of background, the object classes and the boundary in the cross-entropy.

        Raises
        ------
        DatasetError
            The data set has another number of classes than there are weights.
        """
        of_classes = self.class_weights or (1.0,) * classes
        if len(of_classes) != classes:
            raise DatasetError(f"the number of class weights is {len(of_classes)}, that of the classes {classes}")
        return (1.0, *of_classes, *((self.boundary_weight,) if self.kind == "instances" else ()))

    def category_count(self, classes: int) -> int:
        """Categories a pixel can belong to: background, the object classes and, for instances, the boundary."""
        return 1 + classes + (1 if self.kind == "instances" else 0)


def write_config(config: TrainConfig, run: Path) -> None:
    """Write the configuration into a run folder."""
    (run / CONFIG_NAME).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_config(run: Path) -> TrainConfig:
    """Read the configuration of a run folder.

    Raises
    ------
    FileNotFoundError
        The folder holds no run.
    """
    return TrainConfig.model_validate_json((run / CONFIG_NAME).read_bytes())
