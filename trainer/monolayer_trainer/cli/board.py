"""``monolayer-train board``: the curves of a run."""

from typing import Annotated

import typer

from monolayer_trainer.cli.arguments import Run
from monolayer_trainer.cli.console import explained


def board(run: Run, *, port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 6006) -> None:
    """Show the run in TensorBoard, on this machine alone."""
    from monolayer_trainer.board import start_board

    with explained():
        raise typer.Exit(start_board(run, port))
