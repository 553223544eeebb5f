"""What the commands say, and where: results to standard output, everything else to standard error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from monolayer_client.batch import Failure
from monolayer_core.errors import MonolayerError

MAX_LISTED = 50
"""Failures shown one by one; a batch that fails whole needs no more to be understood."""


def out() -> Console:
    """Give the console of standard output."""
    return Console(highlight=False)


def err() -> Console:
    """Give the console of standard error, where progress and complaints go."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error the user can do something about into its message and exit status 1."""
    try:
        yield
    except (MonolayerError, OSError) as error:
        err().print(f"error: {error}", markup=False)
        raise typer.Exit(1) from None


@contextmanager
def progress(title: str, total: int) -> Iterator[Progress]:
    """Show a progress bar on standard error; ``advance(task_id=0)`` moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), disable=not err().is_terminal) as bar:
        bar.add_task(title, total=total)
        yield bar


def list_failures(failures: Sequence[Failure[object]]) -> None:
    """List what failed, so that nothing is dropped silently."""
    if not failures:
        return
    console = err()
    console.print(f"{len(failures)} failed:")
    for failure in failures[:MAX_LISTED]:
        console.print(f"  {failure.item}: {failure.reason}", markup=False)
    if len(failures) > MAX_LISTED:
        console.print(f"  and {len(failures) - MAX_LISTED} more")
