"""Many items, some of which fail."""

import asyncio

import pytest

from monolayer_client.batch import Failure, run_batch
from monolayer_client.errors import RefusedError, UnavailableError


def run(items, work, concurrency=2):
    done = []
    failures = asyncio.run(run_batch(items, work, concurrency=concurrency, on_done=done.append))
    return failures, done


def test_every_item_is_done_once():
    seen = []

    async def work(item):
        await asyncio.sleep(0)
        seen.append(item)

    failures, done = run(list(range(20)), work, concurrency=3)
    assert failures == []
    assert sorted(seen) == sorted(done) == list(range(20))


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_than_so_many_are_under_way(concurrency):
    under_way = most = 0

    async def work(_):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _turn in range(3):
            await asyncio.sleep(0)
        under_way -= 1

    run(list(range(10)), work, concurrency)
    assert most == concurrency


def test_failures_are_listed_in_the_order_of_the_items_and_the_rest_is_done():
    async def work(item):
        if item % 2:
            raise RefusedError(f"{item} is odd")
        if item == 4:
            raise OSError("cannot be read")

    failures, done = run(list(range(6)), work)
    assert failures == [
        Failure(1, "1 is odd"),
        Failure(3, "3 is odd"),
        Failure(4, "cannot be read"),
        Failure(5, "5 is odd"),
    ]
    assert sorted(done) == list(range(6))


def test_a_service_that_stays_away_is_not_asked_for_every_item():
    asked = []

    async def work(item):
        asked.append(item)
        raise UnavailableError("gone")

    failures, _ = run(list(range(100)), work, concurrency=1)
    assert len(asked) == 3
    assert len(failures) == 100
    assert failures[0].reason == "gone"
    assert failures[-1].reason.startswith("not tried")


def test_a_service_that_comes_back_in_between_is_asked_on():
    async def work(item):
        if item % 3:
            raise UnavailableError("busy")

    failures, _ = run(list(range(30)), work, concurrency=1)
    assert len(failures) == 20
    assert {failure.reason for failure in failures} == {"busy"}


def test_a_bug_ends_the_batch():
    async def work(_):
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        run([1, 2], work)


def test_nothing_to_do_is_soon_done():
    assert run([], None) == ([], [])
