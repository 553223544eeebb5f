"""Behaviour of the whole service when more comes than it takes."""

import asyncio
import dataclasses
import threading
import time

import httpx2
import pytest
from tests.service.callers import Caller

from monolayer_core.answer_forms import imagej_rois
from monolayer_service.app import create_app
from monolayer_service.errors import DeadlineError
from monolayer_service.routes import progress
from monolayer_service.segmenters import base
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings


def post(client, png, path="/v1/segment"):
    return asyncio.create_task(client.post(path, content=png, headers={"Content-Type": "image/png"}))


async def test_concurrent_requests_give_the_same_bytes_as_one_alone(toy_bundles, blobs_png):
    app = create_app(Settings(models=toy_bundles, running_requests=4))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            alone = await post(client, blobs_png)
            together = await asyncio.gather(*(post(client, blobs_png) for _ in range(12)))
    assert {answer.content for answer in together} == {alone.content}


async def test_a_request_that_takes_too_long_is_a_503_with_retry_after(toy_bundles, blobs_png, monkeypatch):
    released = threading.Event()

    def wait_for_deadline(self, tiles, provider=None, *, alone=True):
        released.wait(30)
        raise DeadlineError("late")

    app = create_app(Settings(models=toy_bundles, deadline_seconds=0.05, deadline_seconds_per_megapixel=0))
    async with app.router.lifespan_context(app):
        monkeypatch.setattr(Network, "run", wait_for_deadline)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await post(client, blobs_png)
            released.set()
            counted = (await client.get("/metrics")).text
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    assert 'monolayer_refusals_total{reason="deadline"} 1.0' in counted
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.fault("a body that stops arriving", "408")
async def test_a_body_that_does_not_arrive_in_time_is_given_up(toy_bundles):
    never = asyncio.Event()

    async def slow_body():
        yield b"\x89PNG"
        await never.wait()

    app = create_app(Settings(models=toy_bundles, upload_seconds=0.02))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await client.post("/v1/segment", content=slow_body(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 408
    assert answer.json()["error"]["code"] == "upload_timeout"


async def test_a_body_that_comes_at_less_than_any_pace_is_given_up_long_before_its_time(toy_bundles, monkeypatch):
    loop, never = asyncio.get_running_loop(), asyncio.Event()
    began, jump = loop.time(), 0.0
    monkeypatch.setattr(loop, "time", lambda: time.monotonic() + jump)

    async def slow_body():
        nonlocal jump
        yield bytes(64 << 10)  # four more seconds at 16 KiB/s
        jump = 13.0
        yield b"more"
        jump = 15.0
        await never.wait()

    app = create_app(Settings(models=toy_bundles))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await client.post("/v1/segment", content=slow_body(), headers={"Content-Type": "image/png"})
        assert app.state.services.gate.is_idle
    assert answer.status_code == 408
    assert answer.json()["error"]["message"] == "the body comes too slowly: at least 16 KiB a second are waited for"
    assert 14 <= loop.time() - began < 300


@pytest.mark.parametrize(("path", "field"), [("/v1/segment", b"image"), ("/v1/submission", b"images")])
async def test_nothing_is_computed_for_a_caller_who_has_gone_away(toy_bundles, blobs_png, monkeypatch, path, field):
    app = create_app(Settings(models=toy_bundles))
    disposition = b'Content-Disposition: form-data; name="%s"; filename="a.png"' % field
    body = b"\r\n".join([b"--edge", disposition, b"", blobs_png, b"--edge--", b""])
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
    statuses = []

    async def receive():
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    def refuse(*_):
        raise AssertionError("computed all the same")

    monkeypatch.setattr("monolayer_service.analysis.Analyst.analyse", refuse)
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=edge")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("service", 80),
    }
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
        assert "monolayer_disconnected_requests_total 1.0" in metrics_of(app)
    assert statuses == [400]


@pytest.fixture(params=[base.WHOLE_IMAGE_PX, 0], ids=["whole image", "windows"])
async def held(toy_bundles, monkeypatch, request):
    """A service whose network holds every run until told to go on, tiles of 64 px, and the list of its runs."""
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", request.param)
    go_on, entered, runs = threading.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()
    app = create_app(Settings(models=toy_bundles, network_runs=1, max_tile_side=64, running_requests=2))
    async with app.router.lifespan_context(app):
        run = Network.run

        def wait_and_run(self, tiles, provider=None, *, alone=True):
            runs.append(len(tiles))
            loop.call_soon_threadsafe(entered.set)
            assert go_on.wait(30)
            return run(self, tiles, provider, alone=alone)

        monkeypatch.setattr(Network, "run", wait_and_run)
        yield app, entered, go_on, runs
        go_on.set()


def metrics_of(app):
    return app.state.services.metrics.render().decode()


async def queued(app, tiles):
    """Wait until so many tiles are in the queue."""
    while f"monolayer_queued_tiles {tiles}.0" not in metrics_of(app):  # noqa: ASYNC110 - the metric is what is watched
        await asyncio.sleep(0)


@pytest.mark.fault("caller hangs up while its tiles are computed", "its work and its place are gone at once; counted")
async def test_a_caller_who_hangs_up_while_computing_leaves_no_tile_behind(held, blobs_png):
    app, entered, go_on, runs = held
    caller = Caller(blobs_png)
    task = asyncio.create_task(caller.call(app))
    await entered.wait()
    await queued(app, 2)
    caller.hang_up.set()
    await task
    assert caller.statuses == [400]
    assert "monolayer_queued_tiles 0.0" in metrics_of(app)
    assert "monolayer_disconnected_requests_total 1.0" in metrics_of(app)
    assert runs == [1]
    go_on.set()
    follower = Caller(blobs_png)
    await follower.call(app)
    assert follower.statuses == [200]


async def test_tiles_of_a_request_past_its_deadline_are_removed_at_once(held, blobs_png):
    app, _, go_on, runs = held
    gate = app.state.services.gate
    gate.limits = dataclasses.replace(gate.limits, deadline_seconds=0.1, deadline_seconds_per_megapixel=0)
    caller = Caller(blobs_png)
    await caller.call(app)
    assert caller.statuses == [503]
    assert "monolayer_queued_tiles 0.0" in metrics_of(app)
    assert len(runs) <= 1
    go_on.set()


async def test_progress_is_told_while_tiles_are_computed_and_the_place_is_kept_until_they_are(
    held, blobs_png, monkeypatch
):
    monkeypatch.setattr(progress, "PROGRESS_SECONDS", 0)
    app, entered, go_on, _ = held
    caller = Caller(blobs_png, query=b"format=ndjson")
    task = asyncio.create_task(caller.call(app))
    await entered.wait()
    while not caller.lines or caller.lines[-1]["progress"]["stage"] != "inference":  # noqa: ASYNC110 - lines are watched
        await asyncio.sleep(0)
    assert caller.lines[-1]["progress"] | {"elapsed_seconds": 0} == {
        "stage": "inference",
        "done_megapixels": 0.0,
        "total_megapixels": 0.012,
        "elapsed_seconds": 0,
    }
    assert not app.state.services.gate.is_idle
    go_on.set()
    await task
    assert app.state.services.gate.is_idle
    done = [line["progress"]["done_megapixels"] for line in caller.lines[:-1]]
    assert done == sorted(done)
    assert caller.lines[-1]["count"] == 3


@pytest.mark.fault("caller hangs up while progress is told", "its work and its place are gone at once; counted")
async def test_a_caller_who_hangs_up_while_progress_is_told_leaves_no_tile_and_no_place_behind(held, blobs_png):
    app, entered, go_on, runs = held
    caller = Caller(blobs_png, query=b"format=ndjson")
    task = asyncio.create_task(caller.call(app))
    await entered.wait()
    await queued(app, 2)
    caller.hang_up.set()
    await task
    await queued(app, 0)
    go_on.set()
    while not app.state.services.gate.is_idle:  # noqa: ASYNC110 - its thread is on its way out
        await asyncio.sleep(0)
    assert runs == [1]
    assert "monolayer_disconnected_requests_total 1.0" in metrics_of(app)
    assert all("progress" in line for line in caller.lines)


async def test_a_deadline_that_passes_after_the_first_line_is_the_last_line(held, blobs_png):
    app, *_ = held
    gate = app.state.services.gate
    gate.limits = dataclasses.replace(gate.limits, deadline_seconds=0.1, deadline_seconds_per_megapixel=0)
    caller = Caller(blobs_png, query=b"format=ndjson")
    await caller.call(app)
    assert caller.statuses == [200]
    *before, last = caller.lines
    assert before
    assert all("progress" in line for line in before)
    assert (last["status"], last["error"]["code"]) == (503, "deadline_exceeded")
    assert last["retry_after_seconds"] >= 1


async def test_a_body_that_is_announced_larger_than_what_memory_is_left_is_refused_unread(toy_bundles, blobs_png):
    app = create_app(Settings(models=toy_bundles, held_mib=2, max_body_mib=2))
    async with app.router.lifespan_context(app), app.state.services.gate.enter() as other:
        other.hold(2**21 - 10)
        caller = Caller(blobs_png, headers=[(b"content-length", str(len(blobs_png)).encode())])
        await caller.call(app)
        assert caller.statuses == [429]
        assert len(caller.unread) == 1


@pytest.mark.fault("caller hangs up while sending", "its work and its place are gone at once; counted")
async def test_a_caller_who_hangs_up_in_the_middle_of_the_body_leaves_nothing_behind(toy_bundles, blobs_png):
    app = create_app(Settings(models=toy_bundles))
    caller = Caller(blobs_png, headers=[(b"content-length", str(len(blobs_png)).encode())])
    caller.unread = [{"type": "http.request", "body": blobs_png[:50], "more_body": True}]
    async with app.router.lifespan_context(app):
        task = asyncio.create_task(caller.call(app))
        while caller.unread:  # noqa: ASYNC110 - what is read is watched
            await asyncio.sleep(0)
        assert f"monolayer_held_bytes {len(blobs_png)}.0" in metrics_of(app)
        caller.hang_up.set()
        await task
        assert caller.statuses == [400]
        assert "monolayer_held_bytes 0.0" in metrics_of(app)
        assert "monolayer_disconnected_requests_total 1.0" in metrics_of(app)
        assert app.state.services.gate.is_idle


@pytest.mark.fault("caller hangs up while waiting", "its work and its place are gone at once; counted")
async def test_a_caller_who_hangs_up_while_waiting_for_a_turn_is_never_computed(held, blobs_png):
    app, entered, go_on, _ = held
    before = [Caller(blobs_png) for _ in range(2)]
    tasks = [asyncio.create_task(caller.call(app)) for caller in before]
    await entered.wait()
    while "monolayer_running_requests 2.0" not in metrics_of(app):  # noqa: ASYNC110 - so that none of them is overtaken
        await asyncio.sleep(0)
    waiting = Caller(blobs_png)
    task = asyncio.create_task(waiting.call(app))
    while "monolayer_waiting_requests 1.0" not in metrics_of(app):  # noqa: ASYNC110 - the metric is what is watched
        await asyncio.sleep(0)
    waiting.hang_up.set()
    await task
    assert waiting.statuses == [400]
    assert "monolayer_waiting_requests 0.0" in metrics_of(app)
    assert "monolayer_disconnected_requests_total 1.0" in metrics_of(app)
    go_on.set()
    await asyncio.gather(*tasks)
    assert [caller.statuses for caller in before] == [[200], [200]]
    assert 'monolayer_image_size_megapixels_count{method="unet"} 2.0' in metrics_of(app)


@pytest.mark.fault("caller hangs up while a large answer is written", "the writing ends with the object it was at")
async def test_a_caller_who_hangs_up_while_rois_are_written_keeps_no_thread_busy(toy_bundles, blobs_png, monkeypatch):
    loop, entered, go_on, written = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), []
    write_roi = imagej_rois._roi

    def wait_and_write(polygons, name):
        written.append(name)
        loop.call_soon_threadsafe(entered.set)
        assert go_on.wait(30)
        return write_roi(polygons, name)

    monkeypatch.setattr(imagej_rois, "_roi", wait_and_write)
    app, caller = create_app(Settings(models=toy_bundles)), Caller(blobs_png, query=b"format=rois")
    async with app.router.lifespan_context(app):
        task = asyncio.create_task(caller.call(app))
        await entered.wait()
        caller.hang_up.set()
        await task
        assert caller.statuses == [400]
        assert "monolayer_disconnected_requests_total 1.0" in metrics_of(app)
        go_on.set()
    assert written == ["0001"], "the service has ended, and so have its threads: of three objects one was written"
