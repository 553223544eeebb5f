import asyncio
import contextlib
import dataclasses
import threading

import pytest
from asgi_correlation_id import correlation_id
from starlette.requests import ClientDisconnect

from monolayer_service.admission.limits import SLOW_UPLOAD_SECONDS, SMALL_MEGAPIXELS
from monolayer_service.errors import DeadlineError, OverloadedError


class Visitors:
    """Requests inside a gate, each held until it is sent away."""

    def __init__(self, gate):
        self.gate = gate
        self.stack = contextlib.AsyncExitStack()
        self.started = []
        self.tasks = {}
        self.begun = {}
        self.leave = {}

    async def arrive(self, name, megapixels=1.0, memory_megapixels=0.0):
        self.begun[name], self.leave[name] = asyncio.Event(), asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, megapixels, memory_megapixels))
        await settle()

    async def _visit(self, name, megapixels, memory_megapixels):
        async with self.gate.enter() as ticket:
            await ticket.start(megapixels, memory_megapixels)
            self.started.append(name)
            self.begun[name].set()
            await self.leave[name].wait()

    async def send_away(self, name):
        self.leave[name].set()
        await self.tasks[name]
        await settle()

    async def send_all_away(self):
        for event in self.leave.values():
            event.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_run_as_there_are_slots_and_the_others_follow_in_order(make_gate):
    visitors = Visitors(make_gate())
    for name in "abcd":
        await visitors.arrive(name)
    assert visitors.started == ["a", "b"]
    await visitors.send_away("b")
    assert visitors.started == ["a", "b", "c"]
    await visitors.send_away("a")
    assert visitors.started == ["a", "b", "c", "d"]
    await visitors.send_all_away()


async def test_one_more_than_may_run_and_wait_is_refused_before_its_body_is_read(make_gate):
    gate = make_gate()
    visitors = Visitors(gate)
    for name in "abcde":
        await visitors.arrive(name)
    with pytest.raises(OverloadedError) as caught:
        async with gate.enter():
            pass
    assert caught.value.retry_after_seconds > 0
    await visitors.send_away("a")
    async with gate.enter():
        pass
    await visitors.send_all_away()


async def test_bodies_on_their_way_keep_out_nobody_who_has_sent_one(make_gate):
    gate = make_gate()
    visitors = Visitors(gate)
    async with contextlib.AsyncExitStack() as stalled:
        for _ in range(gate.limits.uploads - 1):
            await stalled.enter_async_context(gate.enter())
        for name in "abcde":
            await visitors.arrive(name)
        assert visitors.started == ["a", "b"]
        assert not gate.has_room
        await visitors.send_away("a")
        assert gate.has_room
        await stalled.enter_async_context(gate.enter())
        with pytest.raises(OverloadedError, match="uploads") as caught:
            gate.check_room()
        assert caught.value.retry_after_seconds == SLOW_UPLOAD_SECONDS
    await visitors.send_all_away()
    assert gate.has_room


async def test_who_finds_the_queue_full_when_the_body_is_there_is_refused_and_takes_no_place(make_gate):
    gate = make_gate()
    visitors = Visitors(gate)
    async with gate.enter() as late:
        for name in "abcde":
            await visitors.arrive(name)
        with pytest.raises(OverloadedError, match="requests"):
            await late.start(1.0)
    await visitors.send_away("a")
    await visitors.arrive("f")
    await visitors.send_all_away()
    assert visitors.started == ["a", "b", "c", "d", "e", "f"]


async def test_small_images_pass_a_slide_that_waits_for_another_slide(make_gate):
    visitors = Visitors(make_gate(running_requests=3))
    await visitors.arrive("slide 1", 400)
    await visitors.arrive("slide 2", 400)
    await visitors.arrive("small 1")
    await visitors.arrive("small 2", SMALL_MEGAPIXELS)
    assert visitors.started == ["slide 1", "small 1", "small 2"]
    await visitors.send_away("slide 1")
    assert visitors.started[-1] == "slide 2"
    await visitors.send_all_away()


async def test_what_takes_the_memory_of_a_slide_counts_for_one_among_slides(make_gate):
    visitors = Visitors(make_gate(running_requests=4))
    await visitors.arrive("whole 1", 30, 300)
    await visitors.arrive("whole 2", 10, 201)
    await visitors.arrive("small")
    assert visitors.started == ["whole 1", "small"]
    await visitors.send_away("whole 1")
    await visitors.arrive("slide", 299)
    assert visitors.started[2:] == ["whole 2", "slide"]
    await visitors.send_all_away()


async def test_what_takes_more_memory_than_all_slides_may_is_computed_beside_none(make_gate):
    visitors = Visitors(make_gate(running_requests=4))
    await visitors.arrive("whole", 60, 501)
    await visitors.arrive("slide", 20)
    await visitors.arrive("small")
    assert visitors.started == ["whole", "small"]
    await visitors.send_all_away()
    assert visitors.started == ["whole", "small", "slide"]


async def test_a_slide_is_not_passed_by_those_behind_it(make_gate):
    visitors = Visitors(make_gate(running_requests=5, waiting_megapixels=1000))
    await visitors.arrive("slide 1", 100)
    await visitors.arrive("slide 2", 450)
    await visitors.arrive("slide 3", 100)
    await visitors.arrive("small")
    assert visitors.started == ["slide 1", "small"]
    await visitors.send_away("slide 1")
    assert visitors.started[2:] == ["slide 2"]
    await visitors.send_away("slide 2")
    assert visitors.started[3:] == ["slide 3"]
    await visitors.send_all_away()


async def test_slides_leave_one_slot_to_small_images(make_gate):
    visitors = Visitors(make_gate())
    await visitors.arrive("slide 1", 20)
    await visitors.arrive("slide 2", 20)
    await visitors.arrive("small")
    assert visitors.started == ["slide 1", "small"]
    await visitors.send_all_away()


async def test_small_images_have_a_share_of_their_own_beside_that_of_slides(make_gate):
    visitors = Visitors(make_gate(running_requests=5, running_megapixels=30))
    await visitors.arrive("slide", 30)
    for name in "abc":
        await visitors.arrive(name, 12)
    assert visitors.started == ["slide", "a", "b"]
    await visitors.send_away("a")
    assert visitors.started[-1] == "c"
    await visitors.send_all_away()


async def test_a_slide_is_not_starved_by_small_images(make_gate):
    visitors = Visitors(make_gate())
    for name in "ab":
        await visitors.arrive(name)
    await visitors.arrive("slide", 400)
    await visitors.arrive("c")
    await visitors.send_away("a")
    assert visitors.started == ["a", "b", "slide"]
    await visitors.send_all_away()


async def test_a_single_slot_still_takes_slides(make_gate):
    visitors = Visitors(make_gate(running_requests=1))
    await visitors.arrive("slide", 400)
    assert visitors.started == ["slide"]
    await visitors.send_all_away()


async def test_more_megapixels_than_may_wait_are_refused_but_the_place_is_free_again(make_gate):
    gate = make_gate(running_requests=1, waiting_megapixels=100)
    visitors = Visitors(gate)
    await visitors.arrive("running", 400)
    await visitors.arrive("waiting", 90)
    async with gate.enter() as ticket:
        with pytest.raises(OverloadedError, match="megapixels"):
            await ticket.start(20)
    await visitors.send_away("running")
    assert visitors.started == ["running", "waiting"]
    await visitors.send_all_away()


async def test_an_image_that_can_start_at_once_does_not_count_as_waiting(make_gate):
    gate = make_gate(waiting_megapixels=10)
    async with gate.enter() as ticket:
        await ticket.start(400)


async def test_bodies_together_are_bounded(make_gate):
    gate = make_gate()
    async with gate.enter() as first, gate.enter() as second:
        first.hold(600)
        second.hold(400)
        with pytest.raises(OverloadedError, match="bytes"):
            second.hold(1)
    async with gate.enter() as third:
        third.hold(1000)


async def test_one_body_alone_may_be_larger_than_the_bound_on_all(make_gate):
    async with make_gate().enter() as ticket:
        ticket.hold(5000)


async def test_a_turn_that_does_not_come_in_time_is_given_up(make_gate):
    gate = make_gate(running_requests=1, deadline_seconds=0.01)
    visitors = Visitors(gate)
    await visitors.arrive("a")
    async with gate.enter() as ticket:
        with pytest.raises(DeadlineError):
            await ticket.start(1)
    await visitors.send_all_away()
    async with gate.enter() as ticket:
        await ticket.start(1)


async def test_the_deadline_grows_with_the_image(make_gate):
    gate = make_gate(deadline_seconds=0, deadline_seconds_per_megapixel=60)
    async with gate.enter() as ticket:
        await ticket.start(1)
        assert await ticket.run(lambda: 5) == 5


async def test_work_runs_in_a_thread_with_the_request_id_of_its_caller(make_gate):
    correlation_id.set("abc")
    async with make_gate().enter() as ticket:
        await ticket.start(1)
        name, request_id = await ticket.run(lambda: (threading.current_thread().name, correlation_id.get()))
    assert name.startswith("compute")
    assert request_id == "abc"


async def test_an_error_of_the_work_reaches_the_caller(make_gate):
    async with make_gate().enter() as ticket:
        await ticket.start(1)
        with pytest.raises(ZeroDivisionError):
            await ticket.run(lambda: 1 / 0)


async def test_late_work_is_answered_at_once_but_keeps_its_slot_until_it_stops(make_gate):
    gate = make_gate(running_requests=1, deadline_seconds=0.01)
    go_on, stopped = threading.Event(), threading.Event()

    def work(ticket):
        go_on.wait(10)
        try:
            ticket.cancellation.check()
        finally:
            stopped.set()

    async with gate.enter() as late:
        await late.start(1)
        with pytest.raises(DeadlineError):
            await late.run(work, late)
    gate.limits = dataclasses.replace(gate.limits, deadline_seconds=60)
    visitors = Visitors(gate)
    await visitors.arrive("next")
    assert visitors.started == []
    go_on.set()
    await visitors.begun["next"].wait()
    assert stopped.is_set()
    await visitors.send_all_away()


async def test_a_turn_that_was_given_up_is_not_handed_out(make_gate):
    gate = make_gate(running_requests=1)
    visitors = Visitors(gate)
    for name in "abc":
        await visitors.arrive(name)
    gate._waiting[0].turn.cancel()
    visitors.leave["a"].set()
    await visitors.begun["c"].wait()
    assert visitors.started == ["a", "c"]
    await visitors.send_all_away()


async def test_a_closed_gate_stops_threads_at_their_next_check(make_gate):
    gate = make_gate()
    async with gate.enter() as ticket:
        await ticket.start(1)
        ticket.cancellation.check()
        gate.close()
        with pytest.raises(DeadlineError):
            ticket.cancellation.check()


async def test_nothing_is_let_in_while_every_slot_is_taken_and_the_queue_is_full_of_megapixels(make_gate):
    gate = make_gate(running_requests=1, waiting_megapixels=100, waiting_requests=10)
    visitors = Visitors(gate)
    await visitors.arrive("running")
    await visitors.arrive("waiting", 100)
    with pytest.raises(OverloadedError, match="megapixels"):
        async with gate.enter():
            pass
    await visitors.send_away("running")
    async with gate.enter():
        pass
    await visitors.send_all_away()


async def test_a_small_image_comes_in_where_a_slot_is_free_however_many_megapixels_wait(make_gate):
    gate = make_gate(running_requests=2, waiting_megapixels=100)
    visitors = Visitors(gate)
    await visitors.arrive("slide 1", 400)
    await visitors.arrive("slide 2", 100)
    async with gate.enter() as ticket:
        await ticket.start(1)
    await visitors.send_all_away()


async def test_who_goes_away_while_waiting_leaves_the_queue_at_once(make_gate):
    gate = make_gate(running_requests=1)
    visitors = Visitors(gate)
    await visitors.arrive("a")

    async def wait_and_go():
        async with gate.enter() as ticket:
            asyncio.get_running_loop().call_soon(ticket.abandon)
            await ticket.start(1)

    with pytest.raises(ClientDisconnect):
        await wait_and_go()
    assert "monolayer_waiting_requests 0.0" in gate._metrics.render().decode()
    await visitors.send_all_away()


async def test_who_goes_away_while_computing_is_told_to_the_thread_and_keeps_the_slot_until_it_stops(make_gate):
    gate = make_gate(running_requests=1)
    loop, heard, go_on = asyncio.get_running_loop(), threading.Event(), threading.Event()

    def work(ticket):
        with ticket.cancellation.heard_by(lambda _: heard.set()):
            loop.call_soon_threadsafe(ticket.abandon)
            assert heard.wait(30)
        assert go_on.wait(30)
        ticket.cancellation.check()

    async def compute_and_go():
        async with gate.enter() as ticket:
            await ticket.start(1)
            await ticket.run(work, ticket)

    with pytest.raises(ClientDisconnect):
        await compute_and_go()
    visitors = Visitors(gate)
    await visitors.arrive("next")
    assert visitors.started == []
    go_on.set()
    await visitors.begun["next"].wait()
    await visitors.send_all_away()


async def test_the_load_is_shown_as_metrics(make_gate):
    gate = make_gate(running_requests=1)
    visitors = Visitors(gate)
    await visitors.arrive("a", 3)
    await visitors.arrive("b", 4)
    text = gate._metrics.render().decode()
    for line in (
        "monolayer_running_requests 1.0",
        "monolayer_waiting_requests 1.0",
        "monolayer_running_megapixels 3.0",
        "monolayer_waiting_megapixels 4.0",
    ):
        assert line in text
    await visitors.send_all_away()
    assert "monolayer_running_requests 0.0" in gate._metrics.render().decode()
