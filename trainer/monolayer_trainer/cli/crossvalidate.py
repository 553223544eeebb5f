"""``monolayer-train crossvalidate``: one network for each fold, and one of all images to ship."""

from typing import Annotated

import typer

from monolayer_trainer.cli.arguments import Data, Run
from monolayer_trainer.cli.console import explained
from monolayer_trainer.cli.fit_options import FitOptions
from monolayer_trainer.cli.option_groups import taking


@taking(FitOptions)
def crossvalidate(
    data: Data,
    run: Run,
    *,
    folds: Annotated[
        int | None,
        typer.Option(help="Networks to train and judge; those of RUN/folds.csv if it is there.", show_default="5"),
    ] = None,
    final: Annotated[bool, typer.Option(help="Train a network on all images too, the one to ship.")] = True,
    options: FitOptions,
) -> None:
    """Judge every image by a network that has not seen it, then train one on all; the same call again goes on.

    --minutes and --epochs are those of each network. For data sets too small to hold images out.
    """
    from monolayer_trainer.cross_folder import CrossFolder
    from monolayer_trainer.crossvalidation import crossvalidate as crossvalidate_network

    with explained():
        crossvalidate_network(data, run, options.config(data, run), folds=folds, final=final)
        typer.echo(CrossFolder(run).report.read_text(encoding="utf-8"))
