"""Whoever does not read his answer holds no place in the service, in whatever form it comes."""

import asyncio

import pytest
from tests.service.callers import Caller

from monolayer_service.app import create_app
from monolayer_service.routes import progress
from monolayer_service.settings import Settings


@pytest.fixture
async def single(toy_bundles, monkeypatch):
    """Give a service with one slot and no place to wait."""
    monkeypatch.setattr(progress, "PROGRESS_SECONDS", 0)
    app = create_app(Settings(models=toy_bundles, running_requests=1, waiting_requests=0))
    async with app.router.lifespan_context(app):
        yield app


async def is_idle(app):
    while not app.state.services.gate.is_idle:  # noqa: ASYNC110 - the gate is what is watched
        await asyncio.sleep(0)


@pytest.mark.fault("progress or its last line is never read", "the place is free when the work is done")
@pytest.mark.parametrize(
    "is_read",
    [lambda _: False, lambda part: part.startswith(b'{"progress"')],
    ids=["no line", "every line but the last"],
)
async def test_lines_that_nobody_reads_hold_no_place(single, blobs_png, is_read):
    unread = Caller(blobs_png, query=b"format=ndjson&method=kmeans", is_read=is_read)
    task = asyncio.create_task(unread.call(single))
    await unread.is_stuck.wait()
    await is_idle(single)
    assert not task.done()
    follower = Caller(blobs_png)
    await follower.call(single)
    assert follower.statuses == [200]
    unread.read_on.set()
    await task
    assert unread.lines[-1]["count"] == 3
    assert "monolayer_disconnected_requests_total 0.0" in single.state.services.metrics.render().decode()


async def test_an_answer_in_one_piece_that_nobody_reads_holds_no_place(single, blobs_png):
    unread = Caller(blobs_png, is_read=lambda _: False)
    task = asyncio.create_task(unread.call(single))
    await unread.is_stuck.wait()
    assert single.state.services.gate.is_idle
    unread.hang_up.set()
    unread.read_on.set()
    await task
    assert unread.statuses == [200]


async def test_who_hangs_up_on_unread_lines_while_the_work_goes_on_is_counted_and_leaves(single, blobs_png):
    unread = Caller(blobs_png, query=b"format=ndjson", is_read=lambda _: False)
    task = asyncio.create_task(unread.call(single))
    await unread.is_stuck.wait()
    assert not single.state.services.gate.is_idle
    unread.hang_up.set()
    await task
    await is_idle(single)
    assert "monolayer_disconnected_requests_total 1.0" in single.state.services.metrics.render().decode()
