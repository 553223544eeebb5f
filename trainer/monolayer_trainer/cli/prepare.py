"""``monolayer-train prepare``: a data set in one form."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from monolayer_trainer.cli.console import explained


class Layout(StrEnum):
    """How the images and masks of a source are arranged."""

    AUTO = "auto"
    DSB2018 = "dsb2018"
    MASKS = "masks"
    LABELS = "labels"
    BOXES = "boxes"
    GEOJSON = "geojson"
    ROIS = "rois"
    COCO = "coco"


class BoxMask(StrEnum):
    """What is drawn into an annotated box."""

    REFINED = "refined"
    ELLIPSE = "ellipse"


class Confluent(StrEnum):
    """What the objects are."""

    CELL = "cell"
    NUCLEUS = "nucleus"


def prepare(
    source: Annotated[Path, typer.Argument(help="Folder or zip file with images and their masks.", exists=True)],
    data: Annotated[Path, typer.Argument(help="Folder to write.")],
    *,
    kind: Annotated[Layout, typer.Option(help="Layout of the source.")] = Layout.AUTO,
    boxes: Annotated[
        BoxMask, typer.Option(help="What is drawn into boxes: their ellipse, or that refined by colour.")
    ] = BoxMask.REFINED,
    exclusions: Annotated[
        Path | None, typer.Option(help="Table of boxes to drop or to relabel.", exists=True, dir_okay=False)
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="Table of images that belong together: ImageId,group,modality or pairs image_a,image_b.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    modalities: Annotated[
        Path | None, typer.Option(help="Table of kinds of images: ImageId,modality.", exists=True, dir_okay=False)
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
            boxes=boxes.value,
            exclusions=exclusions,
            groups=groups,
            modalities=modalities,
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
