"""Requests while bundles are replaced: none is lost, and each is answered by one version."""

import asyncio
import gc
import json
import threading
import weakref

import pytest

from monolayer_service.app import create_app, reload_bundles
from monolayer_service.registry import Registry
from monolayer_service.segmenters.runtime import TileSize
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings


@pytest.fixture
def held_network(monkeypatch):
    """Networks of version 1.2.0 stand still until told to go on; gives the two events."""
    go_on, entered = threading.Event(), threading.Event()
    run = Network.run

    def wait_and_run(self, tiles, provider=None, *, alone=True):
        if self.card.version == "1.2.0":
            entered.set()
            assert go_on.wait(60)
        return run(self, tiles, provider, alone=alone)

    def hold():
        monkeypatch.setattr(Network, "run", wait_and_run)
        return entered, go_on

    yield hold
    go_on.set()


async def until(happened):
    while not happened():  # noqa: ASYNC110 - what is watched comes from a thread
        await asyncio.sleep(0.001)


@pytest.mark.fault("reload: requests in flight", "they end with the bundle they began with; then it is freed")
async def test_a_request_ends_with_the_bundle_it_began_with_and_then_the_old_one_is_let_go(
    service, replace, blobs_png, held_network
):
    old = weakref.ref(service.networks["nuclei"])
    session = weakref.ref(old().open(TileSize(64, 64)))
    entered, go_on = held_network()
    running = [asyncio.create_task(service.post(blobs_png)) for _ in range(2)]
    waiting = [asyncio.create_task(service.post(blobs_png, model="nuclei")) for _ in range(4)]
    await until(entered.is_set)
    while not await service.metric("monolayer_waiting_requests 4.0"):  # noqa: ASYNC110 - the metric is what is watched
        await asyncio.sleep(0)
    replace("2.0.0")
    await service.reload()
    new = await service.get("/v1/models/nuclei")
    assert new["card"]["version"] == "2.0.0"
    late = asyncio.create_task(service.post(blobs_png))
    assert old() is not None
    go_on.set()
    answers = await asyncio.gather(*running, *waiting)
    assert [answer.json()["model"]["version"] for answer in answers] == ["1.2.0"] * 6
    assert (await late).json()["model"]["version"] == "2.0.0"
    await until(lambda: service.app.state.services.gate.is_idle)
    del answers, running, waiting
    gc.collect()
    assert (old(), session()) == (None, None)


@pytest.mark.fault("reload: a submission in flight", "one version answers all its images")
async def test_a_submission_is_answered_by_one_version(service, replace, blobs_png, held_network):
    entered, go_on = held_network()
    files = [("images", (f"{number}.png", blobs_png, "image/png")) for number in range(3)]
    submission = asyncio.create_task(service.client.post("/v1/submission", files=files))
    await until(entered.is_set)
    replace("2.0.0")
    await service.reload()
    go_on.set()
    answer = await submission
    assert answer.status_code == 200
    assert answer.headers["x-model"] == "nuclei/1.2.0"


@pytest.mark.fault("reload: loading takes long", "requests are answered meanwhile")
async def test_requests_are_answered_while_bundles_are_loaded(service, replace, blobs_png, monkeypatch):
    begun, go_on, load = threading.Event(), threading.Event(), service.app.state.reloader._load

    def load_when_told(registry):
        begun.set()
        assert go_on.wait(60)
        return load(registry)

    monkeypatch.setattr(service.app.state.reloader, "_load", load_when_told)
    replace("2.0.0")
    reload_bundles(service.app)
    await until(begun.is_set)
    assert (await service.client.get("/readyz")).status_code == 200
    assert (await service.post(blobs_png)).json()["model"]["version"] == "1.2.0"
    go_on.set()
    await service.app.state.reloader.finished()
    assert (await service.state())[1] == "2.0.0"


@pytest.mark.fault("reload during a reload", "one more follows it")
async def test_a_reload_asked_for_during_a_reload_follows_it_once(service, replace, monkeypatch):
    begun, go_on, load = threading.Semaphore(0), threading.Semaphore(0), service.app.state.reloader._load
    loads = []

    def load_when_told(registry):
        loads.append(registry)
        begun.release()
        assert go_on.acquire(timeout=60)
        return load(registry)

    monkeypatch.setattr(service.app.state.reloader, "_load", load_when_told)
    reload_bundles(service.app)
    await until(lambda: begun.acquire(blocking=False))
    replace("2.0.0")
    for _ in range(5):
        reload_bundles(service.app)
    go_on.release(2)
    await service.app.state.reloader.finished()
    assert len(loads) == 2
    assert all(isinstance(registry, Registry) for registry in loads)
    assert await service.state() == ("ready", "2.0.0", None)


@pytest.mark.fault("reload: six times under load", "no request lost, none answered otherwise")
async def test_no_request_is_lost_over_many_reloads(service, replace, blobs_png):
    done = asyncio.Event()
    answers = []

    async def ask():
        while not done.is_set():
            answers.append(await service.post(blobs_png))

    callers = [asyncio.create_task(ask()) for _ in range(3)]
    versions = [f"2.0.{number}" for number in range(6)]
    for version in versions:
        replace(version)
        await service.reload()
        seen = len(answers)
        await until(lambda seen=seen: len(answers) > seen + 3)
    done.set()
    await asyncio.gather(*callers)
    assert {answer.status_code for answer in answers} == {200}
    found = [answer.json() for answer in answers]
    assert {answer["method"] for answer in found} == {"unet"}
    assert set(versions) <= {answer["model"]["version"] for answer in found}
    assert len({json.dumps(answer | {"model": None}, sort_keys=True) for answer in found}) == 1


@pytest.mark.fault("stop during a reload", "the service stops; nothing is put in place")
async def test_a_reload_in_progress_does_not_keep_the_service_from_stopping(models, monkeypatch):
    go_on = threading.Event()
    app = create_app(Settings(models=models))
    async with app.router.lifespan_context(app):
        begun, load = threading.Event(), app.state.reloader._load

        def load_when_told(registry):
            begun.set()
            assert go_on.wait(60)
            return load(registry)

        monkeypatch.setattr(app.state.reloader, "_load", load_when_told)
        before = app.state.services.analyst
        reload_bundles(app)
        await until(begun.is_set)
    go_on.set()
    await app.state.reloader.finished()
    assert app.state.services.analyst is before
