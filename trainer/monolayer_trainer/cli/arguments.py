"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Data: TypeAlias = Annotated[Path, typer.Argument(help="Folder written by `prepare`.", exists=True, file_okay=False)]
Run: TypeAlias = Annotated[Path, typer.Argument(help="Folder of the run.")]
