"""The options that say how a network is trained: one field each, and the configuration they amount to."""

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monolayer_trainer.presets import Preset, augmentation_of

if TYPE_CHECKING:
    from monolayer_trainer.config import TrainConfig


FINE_TUNING_RATE = 5e-4
"""Weights that know something already are moved with more care."""


class Architecture(StrEnum):
    """Networks that can be trained."""

    UNET = "unet"
    MOBILENET_UNET = "mobilenet-unet"


class TargetKind(StrEnum):
    """What is learned: single objects, or only which pixels are covered."""

    INSTANCES = "instances"
    SEMANTIC = "semantic"


class Channels(StrEnum):
    """What the network sees."""

    GREY = "grey"
    RGB = "rgb"


@dataclass(frozen=True)
class FitOptions:
    """Options of every command that trains.

    A field called as one of `TrainConfig` sets it; None leaves what the configuration says by itself.
    """

    name: Annotated[str | None, typer.Option(help="Name of the model in its card; that of RUN by default.")] = None
    architecture: Annotated[Architecture, typer.Option(help="Which network.")] = Architecture.UNET
    kind: Annotated[TargetKind, typer.Option(help="Separate objects, or one mask.")] = TargetKind.INSTANCES
    channels: Annotated[Channels, typer.Option(help="What the network sees.")] = Channels.RGB
    input_scale: Annotated[
        float, typer.Option(help="Part of their size at which the network sees images: 0.5 is four times as fast.")
    ] = 1.0
    base_width: Annotated[int, typer.Option(help="Feature channels at full resolution.")] = 16
    depth: Annotated[int, typer.Option(help="How often the U-Net halves the image.")] = 4
    preset: Annotated[Preset, typer.Option(help="Kind of picture, which says how crops are changed at random.")] = (
        Preset.DEFAULT
    )
    dropout: Annotated[float, typer.Option(help="Fraction of features dropped at the coarsest levels.")] = 0.0
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Run or bundle whose weights a U-Net starts from: fine-tuning.", exists=True),
    ] = None
    imagenet: Annotated[bool, typer.Option(help="Start MobileNetV2 from ImageNet weights.")] = True
    class_weights: Annotated[
        str | None, typer.Option(help="Weights of the classes: `1,5`, or `auto` by inverse pixel frequency.")
    ] = None
    class_exponent: Annotated[
        float, typer.Option(help="Crops near objects by their class's frequency to this power: 0 classes alike.")
    ] = 0.5
    batch_size: Annotated[int, typer.Option(help="Crops per step.")] = 16
    crop_side: Annotated[int | None, typer.Option(help="Pixels; 256, or 128 for MobileNetV2.")] = None
    epochs: Annotated[
        int | None, typer.Option(help="Epochs; not counted where --minutes is given.", show_default="100")
    ] = None
    steps_per_epoch: Annotated[int | None, typer.Option(help="Steps; as many crops as images by default.")] = None
    minutes: Annotated[float | None, typer.Option(help="Train this long; the learning rate follows the clock.")] = None
    limit: Annotated[int | None, typer.Option(help="Train on this many images only.")] = None
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest learning rate.", show_default="0.002, or 0.0005 with --from")
    ] = None
    average_momentum: Annotated[float, typer.Option(help="Of the running average of the weights.")] = 0.995
    kind_exponent: Annotated[
        float, typer.Option(help="Kinds of picture are drawn by their frequency to this power; 0 draws all alike.")
    ] = 0.5
    group_exponent: Annotated[
        float, typer.Option(help="Groups of a kind are drawn by their number of images to this power.")
    ] = 0.5
    near_object: Annotated[
        float, typer.Option(help="Share of crops near objects; fewer where much beside them must be learned.")
    ] = 0.8
    patience: Annotated[
        int | None, typer.Option(help="Stop after this many scores without a better one.", show_default="never")
    ] = None
    score_every: Annotated[int, typer.Option(help="Epochs between two instance scores.")] = 5
    mixed_precision: Annotated[
        bool | None, typer.Option(help="Convolve in bfloat16.", show_default="where that is faster")
    ] = None
    workers: Annotated[
        int, typer.Option(help="Processes that make crops: 1 beside a training on a CPU, 4 to 8 for a GPU.")
    ] = 1
    seed: Annotated[int, typer.Option(help="Of weights, crops and tuning subset.")] = 0

    def config(self, data: Path, run: Path) -> "TrainConfig":
        """Give the configuration of a run on a data set.

        Raises
        ------
        pydantic.ValidationError
            The options make no sense.
        typer.BadParameter
            The class weights are no numbers.
        DatasetError
            The class weights shall follow a data set that is missing or damaged.
        """
        from monolayer_trainer.config import MOBILENET_SIDE, TrainConfig

        values = {name: value for name, value in asdict(self).items() if value is not None}
        values["augmentation"] = augmentation_of(values.pop("preset"), self.input_scale)
        values["distance"] = self.kind == TargetKind.INSTANCES
        values.setdefault("name", name_of(run))
        if self.start_from is not None:
            values["start_from"] = str(self.start_from)
            values.setdefault("learning_rate", FINE_TUNING_RATE)
        if self.architecture == Architecture.MOBILENET_UNET:
            values.setdefault("crop_side", MOBILENET_SIDE)
        if self.class_weights is not None:
            values["class_weights"] = parse_class_weights(self.class_weights, data)
        return TrainConfig.model_validate(values)


def name_of(run: Path) -> str:
    """Make a name for the model from that of its folder.

    Examples
    --------
    >>> name_of(Path("runs/My nuclei (2)"))
    'my-nuclei-2'
    """
    return re.sub(r"[^a-z0-9_-]+", "-", run.name.lower()).strip("-_")[:64] or "model"


def parse_class_weights(text: str, data: Path) -> tuple[float, ...]:
    """Read weights of the classes: numbers separated by commas, or `auto` for those of the data set.

    Raises
    ------
    typer.BadParameter
        The text is neither.
    """
    if text == "auto":
        from monolayer_trainer.dataset import Dataset

        return Dataset.load(data).class_weights
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"class weights are numbers separated by commas, or auto, not {text!r}") from None
