"""How far a long command has come, shown on standard error."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def watched(items: Sequence[Item]) -> Iterable[Item]:
    """Go through images with a progress bar."""
    from rich.console import Console
    from rich.progress import track

    return track(items, description="images", console=Console(stderr=True))
