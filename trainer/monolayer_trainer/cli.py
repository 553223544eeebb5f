"""The command line ``monolayer-train``: prepare a data set, fit a network, evaluate it, look at its curves.

Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Fit and evaluate segmentation networks.", no_args_is_help=True, pretty_exceptions_enable=False)

log = logging.getLogger(__name__)

TAKEN_UP = frozenset({"data", "run", "resume", "epochs", "minutes", "patience"})
"""What ``fit --resume`` takes from the command line; all else is as the run was begun."""


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


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error a user can mend into its message and exit status 1."""
    from pydantic import ValidationError

    from monolayer_core.errors import MonolayerError

    try:
        yield
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, part['loc'])) or 'options'}: {part['msg']}" for part in error.errors())
        typer.echo("error: " + "; ".join(lines), err=True)
    except (MonolayerError, MemoryError) as error:
        typer.echo(f"error: {error}", err=True)
    else:
        return
    raise typer.Exit(1)


def name_of(run: Path) -> str:
    """Make a name for the model from that of its folder.

    Examples
    --------
    >>> name_of(Path("runs/My nuclei (2)"))
    'my-nuclei-2'
    """
    return re.sub(r"[^a-z0-9_-]+", "-", run.name.lower()).strip("-_")[:64] or "model"


def parse_class_weights(text: str | None, data: Path) -> tuple[float, ...] | None:
    """Read weights of the classes: numbers separated by commas, or `auto` for those of the data set.

    Raises
    ------
    typer.BadParameter
        The text is neither.
    """
    if text is None:
        return None
    if text == "auto":
        from monolayer_trainer.dataset import Dataset

        return Dataset.load(data).class_weights
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"class weights are numbers separated by commas, or auto, not {text!r}") from None


def refuse_on_resume(context: typer.Context) -> None:
    """Refuse what a run that goes on would ignore: only its duration can be changed.

    Raises
    ------
    typer.BadParameter
        Another option was given.
    """
    given = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in TAKEN_UP and (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(
            f"a resumed run keeps the configuration it was begun with: leave out {', '.join(given)}"
        )


Data = Annotated[Path, typer.Argument(help="Folder written by `prepare`.", exists=True, file_okay=False)]
Run = Annotated[Path, typer.Argument(help="Folder of the run.")]


@app.callback()
def configure() -> None:
    """Log lines with the time to standard error; TensorFlow speaks only when something is wrong."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)


class Layout(StrEnum):
    """How the images and masks of a source are arranged."""

    AUTO = "auto"
    DSB2018 = "dsb2018"
    MASKS = "masks"
    LABELS = "labels"
    BOXES = "boxes"


class Confluent(StrEnum):
    """What the objects are."""

    CELL = "cell"
    NUCLEUS = "nucleus"


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder or zip file with images and their masks.", exists=True)],
    data: Annotated[Path, typer.Argument(help="Folder to write.")],
    *,
    kind: Annotated[Layout, typer.Option(help="Layout of the source.")] = Layout.AUTO,
    groups: Annotated[
        Path | None, typer.Option(help="Table of images that belong together: ImageId,group,modality.", exists=True)
    ] = None,
    validation_fraction: Annotated[float, typer.Option(help="Share of the images, whole groups at a time.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the data set; that of the source by default.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the images.")] = "unknown",
    source_url: Annotated[str, typer.Option(help="Where the images come from.")] = "",
    classes: Annotated[str | None, typer.Option(help="Names of the classes, separated by commas.")] = None,
    confluency_of: Annotated[Confluent, typer.Option(help="What the objects are.")] = Confluent.CELL,
    pixel_size_um: Annotated[float | None, typer.Option(help="Micrometres per pixel, where files do not say.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take this many images only.")] = None,
) -> None:
    """Bring images and their masks into one form, split them by group and draw a sheet to check."""
    from rich.console import Console
    from rich.progress import Progress

    from monolayer_trainer.prepare import counts_by_modality
    from monolayer_trainer.prepare import prepare as prepare_data

    with explained(), Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("images", total=None)
        dataset = prepare_data(
            source,
            data,
            kind=kind.value,
            groups=groups,
            validation_fraction=validation_fraction,
            seed=seed,
            name=name,
            licence=licence,
            source_url=source_url,
            classes=None if classes is None else [word.strip() for word in classes.split(",")],
            confluency_of=confluency_of.value,
            pixel_size_um=pixel_size_um,
            limit=limit,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for (modality, side), count in sorted(counts_by_modality(dataset).items()):
        typer.echo(f"{modality}, {side}: {count} images")
    for reason in dataset.left_out:
        typer.echo(f"left out: {reason}")


@app.command()
def fit(
    context: typer.Context,
    data: Data,
    run: Run,
    *,
    name: Annotated[str | None, typer.Option(help="Name of the model in its card; that of RUN by default.")] = None,
    architecture: Annotated[Architecture, typer.Option(help="Which network.")] = Architecture.UNET,
    kind: Annotated[TargetKind, typer.Option(help="Separate objects, or one mask.")] = TargetKind.INSTANCES,
    channels: Annotated[Channels, typer.Option(help="What the network sees.")] = Channels.RGB,
    base_width: Annotated[int, typer.Option(help="Feature channels at full resolution.")] = 16,
    depth: Annotated[int, typer.Option(help="How often the U-Net halves the image.")] = 4,
    dropout: Annotated[float, typer.Option(help="Fraction of features dropped at the coarsest levels.")] = 0.0,
    imagenet: Annotated[bool, typer.Option(help="Start MobileNetV2 from ImageNet weights.")] = True,
    class_weights: Annotated[
        str | None, typer.Option(help="Weights of the classes: `1,5`, or `auto` by inverse pixel frequency.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Crops per step.")] = 16,
    crop_side: Annotated[int | None, typer.Option(help="Pixels; 256, or 128 for MobileNetV2.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs; not counted where --minutes is given.", show_default="100")
    ] = None,
    steps_per_epoch: Annotated[int | None, typer.Option(help="Steps; as many crops as images by default.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Train this long; the learning rate follows the clock.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on this many images only.")] = None,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    patience: Annotated[
        int | None, typer.Option(help="Stop after this many scores without a better one.", show_default="never")
    ] = None,
    score_every: Annotated[int, typer.Option(help="Epochs between two instance scores.")] = 5,
    mixed_precision: Annotated[bool, typer.Option(help="Convolve in bfloat16.")] = True,
    seed: Annotated[int, typer.Option(help="Of weights, crops and tuning subset.")] = 0,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run; of the other options only epochs, minutes and patience count."
        ),
    ] = False,
) -> None:
    """Train a network on a prepared data set."""
    from monolayer_trainer.config import MOBILENET_SIDE, TrainConfig
    from monolayer_trainer.fit import fit as fit_network
    from monolayer_trainer.fit import resume as resume_fit

    if resume:
        refuse_on_resume(context)
        with explained():
            resume_fit(data, run, epochs=epochs, minutes=minutes, patience=patience)
        return
    fixed = architecture == Architecture.MOBILENET_UNET
    with explained():
        config = TrainConfig.model_validate(
            {
                "name": name or name_of(run),
                "architecture": architecture.value,
                "kind": kind.value,
                "distance": kind == TargetKind.INSTANCES,
                "channels": channels.value,
                "base_width": base_width,
                "depth": depth,
                "dropout": dropout,
                "imagenet": imagenet,
                "class_weights": parse_class_weights(class_weights, data),
                "batch_size": batch_size,
                "crop_side": crop_side or (MOBILENET_SIDE if fixed else 256),
                **({} if epochs is None else {"epochs": epochs}),
                "steps_per_epoch": steps_per_epoch,
                "minutes": minutes,
                "limit": limit,
                "learning_rate": learning_rate,
                "patience": patience,
                "score_every": score_every,
                "mixed_precision": mixed_precision,
                "seed": seed,
            }
        )
        fit_network(data, run, config)


@app.command()
def evaluate(
    run: Run,
    *,
    dataset: Annotated[
        Path | None, typer.Option(help="Prepared data set; that of the training by default.", exists=True)
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="Folder or zip file of images without masks, to predict only.", exists=True),
    ] = None,
    phase_contrast: Annotated[
        Path | None, typer.Option(help="Phase contrast images with labels, to measure K-means on.", exists=True)
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average the answers for four mirror images.")] = False,
    limit: Annotated[int | None, typer.Option(help="Score or predict this many images only.")] = None,
) -> None:
    """Score a network beside K-means and Otsu on the validation images, or predict images without masks."""
    from monolayer_trainer.evaluate import evaluate as evaluate_run
    from monolayer_trainer.evaluate import load_network
    from monolayer_trainer.predict_folder import predict_folder
    from monolayer_trainer.provenance import dataset_of
    from monolayer_trainer.run_folder import RunFolder

    folder = RunFolder(run)
    with explained():
        if test is not None:
            failed = predict_folder(test, folder.predictions, *load_network(folder), tta=tta, limit=limit)
            typer.echo(f"{folder.predictions}")
            if failed:
                typer.echo(f"failed: {', '.join(failed)}", err=True)
                raise typer.Exit(1)
            return
        data = dataset or dataset_of(folder)
        evaluate_run(run, data, phase_contrast_source=phase_contrast, tta=tta, limit=limit)
        typer.echo(folder.report.read_text(encoding="utf-8"))


@app.command()
def board(run: Run, *, port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 6006) -> None:
    """Show the run in TensorBoard, on this machine alone."""
    from monolayer_trainer.board import start_board

    with explained():
        raise typer.Exit(start_board(run, port))
