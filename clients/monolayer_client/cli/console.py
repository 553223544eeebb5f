"""What the commands say, and where: results to standard output, everything else to standard error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from monolayer_client.batch import Failure
from monolayer_client.progress import OnProgress
from monolayer_client.progress import Progress as ServiceProgress
from monolayer_core.errors import MonolayerError

MAX_LISTED = 50
"""Failures shown one by one; a batch that fails whole needs no more to be understood."""

LARGE_MEGAPIXELS = 4.0
"""Images of more are worth a line of their own: the service goes through them in windows."""


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
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), disable=not err().is_terminal) as bar:
        bar.add_task(title, total=total)
        yield bar


@contextmanager
def followed(bar: Progress, name: str) -> Iterator[OnProgress | None]:
    """Show below the bar's first line how far the service is with one image, if it is large.

    Gives what is to be told of it; None where nobody sees the bar.
    """
    if bar.disable:
        yield None
        return
    line: list[TaskID] = []

    def show(told: ServiceProgress) -> None:
        if told.total_megapixels <= LARGE_MEGAPIXELS:
            return
        description = f"{name}, megapixels: {told.stage:<11}"  # all as wide as "postprocess": the bar stays in place
        if not line:
            line.append(bar.add_task(description, total=told.total_megapixels))
        bar.update(line[0], description=description, completed=told.done_megapixels, refresh=True)

    try:
        yield show
    finally:
        for task in line:
            bar.remove_task(task)


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
