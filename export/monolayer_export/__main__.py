"""The command ``monolayer-export``."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from monolayer_core.errors import MonolayerError

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="folder of the training run: model.keras and model_card.json", metavar="RUN")
    ],
    bundle: Annotated[Path, typer.Argument(help="folder to be made, usually called like the model", metavar="BUNDLE")],
    name: Annotated[str | None, typer.Option(help="name of the model; the run's own by default")] = None,
    version: Annotated[str | None, typer.Option(help="version of the model; the run's own by default")] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="real images for parity and halo: a prepared data set (its validation images) or any folder of "
            "images; by default those of the run's data set",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="replace a bundle that is there")] = False,
) -> None:
    """Turn a training run into a verified bundle that the service reads.

    The network is converted to ONNX with uint8 images in and uint8 probabilities out, compared with the trained one on
    real images, noise, odd sizes and several batches, and the halo that its tiles need is measured. Only then are
    [bold]model.onnx[/bold], [bold]model_card.json[/bold] and the test tensors written, all at once: a bundle that is
    there stays as it was when anything fails.

    Example: [bold]monolayer-export runs/nuclei bundles/nuclei --version 1.2.0[/bold]
    """
    _prepare_tensorflow()
    # Imported here so that --help answers at once.
    from monolayer_export.export import export_run
    from monolayer_export.summary import print_summary

    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    for library in ("absl", "tensorflow", "tf2onnx"):
        logging.getLogger(library).setLevel(logging.ERROR)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None)

        def announce(step: str) -> None:
            progress.update(task, description=step)

        try:
            report = export_run(run, bundle, name=name, version=version, images=images, force=force, announce=announce)
        except MonolayerError as error:
            progress.stop()
            console.print(f"[red]error[/red] {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        progress.update(task, description="done", total=1, completed=1)
    print_summary(report, bundle, Console())


def _prepare_tensorflow() -> None:
    """Set what TensorFlow and Keras read when they are imported.

    The export computes on the processor: a GPU may round products to ten bits (TF32), and the comparison would show
    that instead of the conversion.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it reports a missing GPU as an error


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
