"""``monolayer-train evaluate``: the figures of a run, or its answers to images without masks."""

from pathlib import Path
from typing import Annotated

import typer

from monolayer_trainer.cli.arguments import Run
from monolayer_trainer.cli.console import explained


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
    dense_layers: Annotated[
        bool, typer.Option("--dense-layers", help="Measure confluency on made layers up to a closed one too.")
    ] = False,
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
        evaluate_run(run, data, phase_contrast_source=phase_contrast, dense_layers=dense_layers, tta=tta, limit=limit)
        typer.echo(folder.report.read_text(encoding="utf-8"))
