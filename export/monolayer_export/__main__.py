"""The command ``monolayer-export``."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        Path | None, typer.Argument(help="folder of the training run: model.keras and model_card.json", metavar="RUN")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Argument(help="folder to be made, usually called like the model", metavar="BUNDLE")
    ] = None,
    *,
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
    calibration_images: Annotated[
        Path | None,
        typer.Option(
            help="images for the files of lower precision: a prepared data set (its training images) or any folder of "
            "images; by default those that the run was trained and tuned on",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    quantize: Annotated[
        Path | None,
        typer.Option(
            help="add files of lower precision to this bundle instead of exporting a run; needs --calibration-images",
            metavar="BUNDLE",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    int8: Annotated[bool, typer.Option(help="make model.int8.onnx, for processors")] = True,
    fp16: Annotated[bool, typer.Option("--fp16", help="make model.fp16.onnx, for GPUs")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace a bundle that is there")] = False,
) -> None:
    """Turn a training run into a verified bundle that the service reads.

    The network is converted to ONNX with uint8 images in and uint8 probabilities out, compared with the trained one on
    real images, noise, odd sizes and several batches, and the halo that its tiles need is measured. Only then are
    [bold]model.onnx[/bold], [bold]model_card.json[/bold] and the test tensors written, all at once: a bundle that is
    there stays as it was when anything fails.

    Beside it [bold]model.int8.onnx[/bold] is made from images the network was trained on, compared with float32 on
    images it was tuned on, and marked as the default on a CPU where it is as good.

    Example: [bold]monolayer-export runs/nuclei bundles/nuclei --version 1.2.0[/bold]

    Example: [bold]monolayer-export --quantize bundles/nuclei --calibration-images data/dsb2018[/bold]
    """
    _prepare_tensorflow()
    # Imported here so that --help answers at once.
    from monolayer_export.export import export_run
    from monolayer_export.precisions import Wanted, quantize_bundle
    from monolayer_export.summary import print_precisions, print_summary

    wanted = Wanted(int8=int8, float16=fp16)
    if quantize is not None:
        if run is not None or calibration_images is None:
            raise typer.BadParameter("--quantize takes --calibration-images, and neither RUN nor BUNDLE")
        with _watched() as announce:
            card = quantize_bundle(quantize, calibration_images, wanted, announce=announce)
        print_precisions(card, quantize, Console())
        return
    if run is None or bundle is None:
        raise typer.BadParameter("give the folders RUN and BUNDLE, or --quantize BUNDLE")
    with _watched() as announce:
        report = export_run(
            run,
            bundle,
            name=name,
            version=version,
            images=images,
            calibration_images=calibration_images,
            wanted=wanted,
            force=force,
            announce=announce,
        )
    print_summary(report, bundle, Console())


@contextmanager
def _watched() -> Iterator[Callable[[str], None]]:
    """Show the step that is announced, and what goes wrong in one line with exit status 1."""
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    for library in ("absl", "tensorflow", "tf2onnx"):
        logging.getLogger(library).setLevel(logging.ERROR)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None)
        try:
            yield lambda step: progress.update(task, description=step)
        except MonolayerError as error:
            progress.stop()
            console.print(f"[red]error[/red] {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        progress.update(task, description="done", total=1, completed=1)


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
