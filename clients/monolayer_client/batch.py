"""Many images at one service: so many at a time, none lost, and no hammering at a door that stays shut."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from monolayer_client.errors import UnavailableError
from monolayer_core.errors import MonolayerError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

GIVE_UP_AFTER = 3
"""Items in a row for which the service was unavailable, patience and all, until the rest is not tried any more."""


@dataclass(frozen=True)
class Failure(Generic[T_co]):
    """An item that could not be done, and why."""

    item: T_co
    reason: str


async def run_batch(
    items: Sequence[T],
    work: Callable[[T], Awaitable[None]],
    *,
    concurrency: int,
    on_done: Callable[[T], None] = lambda _: None,
) -> list[Failure[T]]:
    """Do `work` for every item, `concurrency` at a time.

    Parameters
    ----------
    items : sequence
        What there is to do, begun in this order.
    work : coroutine function
        Does one item. What it raises of `MonolayerError` and `OSError` is a failure of this item; anything else is a
        bug and ends the batch.
    concurrency : int
        How many items are under way at once.
    on_done : callable
        Called after each item, failed or not.

    Returns
    -------
    list of Failure
        In the order of `items`; empty when all went well.
    """
    waiting = iter(enumerate(items))
    reasons: dict[int, str] = {}
    in_a_row = 0

    async def worker() -> None:
        nonlocal in_a_row
        for number, item in waiting:
            if in_a_row >= GIVE_UP_AFTER:
                reasons[number] = "not tried: the service has become unavailable"
                continue
            try:
                await work(item)
                in_a_row = 0
            except (MonolayerError, OSError) as error:
                in_a_row = in_a_row + 1 if isinstance(error, UnavailableError) else 0
                reasons[number] = str(error)
            on_done(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, min(concurrency, len(items)))):
            group.create_task(worker())
    return [Failure(items[number], reason) for number, reason in sorted(reasons.items())]
