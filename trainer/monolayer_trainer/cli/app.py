"""``monolayer-train``: prepare a data set, fit networks, evaluate them, look at their curves."""

import logging
import os
import sys

import typer

from monolayer_trainer.cli.board import board
from monolayer_trainer.cli.crossvalidate import crossvalidate
from monolayer_trainer.cli.evaluate import evaluate
from monolayer_trainer.cli.fit import fit
from monolayer_trainer.cli.prepare import prepare
from monolayer_trainer.cli.resplit import resplit

app = typer.Typer(help="Fit and evaluate segmentation networks.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def configure() -> None:
    """Log lines with the time to standard error; TensorFlow speaks only when something is wrong."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)


app.command()(prepare)
app.command()(resplit)
app.command()(fit)
app.command()(crossvalidate)
app.command()(evaluate)
app.command()(board)
