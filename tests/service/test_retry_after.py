"""`Retry-After` is true: by a clock that the tests move, at the pace that was measured, for the megapixels ahead."""

import asyncio
import contextlib

import pytest

from monolayer_service.errors import OverloadedError


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@contextlib.asynccontextmanager
async def inside(gate, *sizes, memory_megapixels=0.0):
    """Requests of these sizes that came in one after the other and stay until the block ends."""
    leave = asyncio.Event()

    async def visit(megapixels):
        async with gate.enter() as ticket:
            await ticket.start(megapixels, memory_megapixels)
            await leave.wait()

    visits = [asyncio.create_task(visit(megapixels)) for megapixels in sizes]
    await asyncio.sleep(0)
    yield
    leave.set()
    await asyncio.gather(*visits)


async def at_pace(gate, clock, megapixels, seconds, requests=40):
    """Let requests of one size through, one after the other, each taking as long."""
    for _ in range(requests):
        async with gate.enter() as ticket:
            await ticket.start(megapixels)
            clock.now += seconds


async def retry_after(gate, megapixels=None):
    with pytest.raises(OverloadedError) as caught:
        async with gate.enter() as ticket:
            await ticket.start(megapixels)
    return caught.value.retry_after_seconds


async def test_retry_after_is_the_time_for_what_is_left_of_the_only_request_inside(make_gate):
    clock = Clock()
    gate = make_gate(clock, running_requests=1, waiting_requests=0)
    await at_pace(gate, clock, megapixels=2, seconds=8)
    async with gate.enter() as ticket:
        await ticket.start(2)
        assert await retry_after(gate) == pytest.approx(8, rel=0.05)
        clock.now += 4
        ticket.progress(1)
        assert await retry_after(gate) == pytest.approx(4, rel=0.05)
        clock.now += 3
        ticket.progress(0.75)
        assert await retry_after(gate) == pytest.approx(1, rel=0.05)


async def test_of_several_requests_inside_one_place_is_free_after_the_mean_of_what_is_left_of_them(make_gate):
    clock = Clock()
    gate = make_gate(clock, running_requests=1, waiting_requests=2)
    await at_pace(gate, clock, megapixels=1, seconds=3)
    async with inside(gate, 4, 9, 2):
        assert await retry_after(gate) == pytest.approx(3 * 15 / 3, rel=0.05)


async def test_a_queue_full_of_megapixels_says_when_the_excess_is_worked_off(make_gate):
    clock = Clock()
    gate = make_gate(clock, running_requests=1, waiting_megapixels=10)
    await at_pace(gate, clock, megapixels=1, seconds=2)
    async with inside(gate, 5, 8):
        assert await retry_after(gate, megapixels=6) == pytest.approx(2 * 4, rel=0.05)


async def test_the_time_of_an_image_is_that_of_its_megapixels_whatever_memory_it_takes(make_gate):
    clock = Clock()
    gate = make_gate(clock, running_requests=1, waiting_megapixels=10)
    await at_pace(gate, clock, megapixels=1, seconds=2)
    async with inside(gate, 5, 8, memory_megapixels=400):
        assert await retry_after(gate, megapixels=6) == pytest.approx(2 * 4, rel=0.05)


async def test_bytes_are_free_again_with_their_share_of_what_is_left(make_gate):
    clock = Clock()
    gate = make_gate(clock, running_requests=1)
    await at_pace(gate, clock, megapixels=1, seconds=2)
    async with gate.enter() as first, gate.enter() as second:
        await first.start(10)
        first.hold(1000)
        with pytest.raises(OverloadedError) as caught:
            second.hold(500)
        # 10 megapixels and one of unknown size, taken for a mean one, are left; half the bytes must go.
        assert caught.value.retry_after_seconds == pytest.approx(2 * 11 / 2, rel=0.05)


async def test_work_that_was_broken_off_is_not_taken_for_speed(make_gate):
    clock = Clock()
    gate = make_gate(clock, running_requests=1, waiting_requests=0)
    await at_pace(gate, clock, megapixels=1, seconds=2)

    async def break_off():
        async with gate.enter() as ticket:
            await ticket.start(400)
            clock.now += 2
            ticket.progress(1)
            raise ZeroDivisionError

    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            await break_off()
    async with gate.enter() as ticket:
        await ticket.start(5)
        assert await retry_after(gate) == pytest.approx(10, rel=0.05)
