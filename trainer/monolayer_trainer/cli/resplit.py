"""``monolayer-train resplit``: the same images, with others held out."""

from pathlib import Path
from typing import Annotated

import typer

from monolayer_trainer.cli.arguments import Data
from monolayer_trainer.cli.console import explained


def resplit(
    data: Data,
    folder: Annotated[Path, typer.Argument(help="Folder to write: a data set without pixels, which points at DATA.")],
    *,
    modalities: Annotated[
        str, typer.Option(help="Kinds of images to hold out, with wildcards: `histology*,brightfield`.")
    ] = "",
    groups: Annotated[
        Path | None, typer.Option(help="Groups to hold out: a file with one name a line.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Hold out whole kinds or groups of images, to see what a network does with images it knows nothing like.

    Train and evaluate with FOLDER as with any data set; DATA must stay where it is.
    """
    from monolayer_trainer.dataset import Dataset
    from monolayer_trainer.resplit import choose, write_resplit

    with explained():
        dataset = Dataset.load(data)
        names = groups.read_text(encoding="utf-8").split() if groups else []
        held_out = choose(dataset, modalities=[word for word in modalities.split(",") if word], groups=names)
        write_resplit(dataset, folder, held_out)
        typer.echo(f"{folder}: {len(held_out)} of {len(dataset.samples)} images are held out")
