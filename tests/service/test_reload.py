"""Bundles replaced while the service runs: nothing is lost, nothing is mixed, and what does not pass is not used."""

import asyncio
import gc
import json
import shutil
import threading
import weakref

import httpx2
import pytest
import structlog.testing

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import read_card, sha256_of_file, write_card
from monolayer_service import reloading
from monolayer_service.app import create_app, reload_bundles
from monolayer_service.registry import Registry
from monolayer_service.segmenters.session import CUDA, Network
from monolayer_service.settings import Settings

PNG = {"Content-Type": "image/png"}


@pytest.fixture(autouse=True)
def logged():
    """What is logged, instead of tracebacks on the screen."""
    with structlog.testing.capture_logs() as events:
        yield events


@pytest.fixture
def models(toy_bundles, tmp_path):
    """A folder of bundles of the test's own: `blood`, and `nuclei` 1.2.0."""
    return shutil.copytree(toy_bundles, tmp_path / "models")


@pytest.fixture
def replace(toy_bundle, models, tmp_path_factory):
    """Give a function that puts another version of `nuclei` in the place of the one in the folder."""

    def put(version, **changes):
        made = toy_bundle(tmp_path_factory.mktemp("made"), "nuclei", version=version, **changes)
        shutil.rmtree(models / "nuclei", ignore_errors=True)
        return made.rename(models / "nuclei")

    return put


class Service:
    """The application in this process, and calls of it."""

    def __init__(self, app, client):
        self.app = app
        self.client = client

    def post(self, png, path="/v1/segment", **query):
        return self.client.post(path, params=query, content=png, headers=PNG)

    async def get(self, path):
        return (await self.client.get(path)).json()

    async def reload(self):
        reload_bundles(self.app)
        await self.app.state.reloader.finished()

    async def state(self, name="nuclei"):
        info = await self.get(f"/v1/models/{name}")
        return info["state"], info["card"] and info["card"]["version"], info["problem"]

    async def metric(self, line):
        return line in (await self.client.get("/metrics")).text

    @property
    def networks(self):
        bundles = self.app.state.services.registry.bundles
        return {name: bundle.segmenter.network for name, bundle in bundles.items() if bundle.segmenter}


@pytest.fixture
async def service(models):
    app = create_app(Settings(models=models, running_requests=2))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            yield Service(app, client)


async def test_a_bundle_that_was_replaced_answers_after_the_reload_and_not_before(service, replace, blobs_png):
    replace("2.0.0")
    assert (await service.post(blobs_png)).json()["model"]["version"] == "1.2.0"
    await service.reload()
    assert (await service.post(blobs_png)).json()["model"]["version"] == "2.0.0"
    assert await service.state() == ("ready", "2.0.0", None)
    assert await service.metric('monolayer_reloads_total{outcome="complete"} 1.0')


async def test_what_has_not_changed_is_not_opened_again(service, replace):
    before = service.networks
    replace("2.0.0")
    await service.reload()
    assert service.networks["blood"] is before["blood"]
    assert service.networks["nuclei"] is not before["nuclei"]


def damage(folder):
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")


def forget_a_file(folder):
    (folder / "test_output.npy").unlink()


def break_the_card(folder):
    (folder / "model_card.json").write_text("{", encoding="utf-8")


def empty(folder):
    for file in folder.iterdir():
        file.unlink()


def spoil_the_test_answer(folder):
    (folder / "test_output.npy").write_bytes((folder / "test_input.npy").read_bytes())
    card = read_card(folder)
    write_card(card.model_copy(update={"files": {name: sha256_of_file(folder / name) for name in card.files}}), folder)


@pytest.mark.fault("reload: successor damaged", "the old bundle answers; stale in /v1/models and /metrics, logged")
@pytest.mark.parametrize("spoil", [damage, forget_a_file, break_the_card, empty, spoil_the_test_answer])
async def test_a_successor_that_does_not_pass_is_shown_and_the_old_bundle_goes_on(
    service, replace, blobs_png, logged, spoil
):
    expected = (await service.post(blobs_png)).content
    spoil(replace("2.0.0"))
    for _ in range(2):
        await service.reload()
        assert (await service.post(blobs_png)).content == expected
        state, version, problem = await service.state()
        assert (state, version) == ("stale", "1.2.0")
        assert problem
    assert (await service.client.get("/readyz")).status_code == 200
    assert await service.metric('monolayer_reloads_total{outcome="partial"} 2.0')
    assert await service.metric('monolayer_loaded_bundles{state="stale"} 1.0')
    kept = [event for event in logged if event["event"] == "bundle kept"]
    assert [(event["bundle"], event["reason"]) for event in kept] == [("nuclei", problem)] * 2
    replace("2.0.1")
    await service.reload()
    assert await service.state() == ("ready", "2.0.1", None)
    assert await service.metric('monolayer_loaded_bundles{state="stale"} 0.0')


async def test_the_old_files_put_back_are_the_old_bundle_again(service, models, tmp_path):
    shutil.copytree(models / "nuclei", tmp_path / "nuclei")
    before = service.networks["nuclei"]
    damage(models / "nuclei")
    await service.reload()
    assert (await service.state())[0] == "stale"
    shutil.rmtree(models / "nuclei")
    (tmp_path / "nuclei").rename(models / "nuclei")
    await service.reload()
    assert await service.state() == ("ready", "1.2.0", None)
    assert service.networks["nuclei"] is before


@pytest.mark.fault("bundle's files vanish under a running service", "answers stay the same to the last byte")
async def test_files_that_change_without_a_reload_change_no_answer_and_no_digest(service, replace, models, blobs_png):
    small = await service.post(blobs_png)
    network = service.networks["nuclei"]
    network.close(network.warm_sizes[0])  # sessions are made anew, after what they were made of has gone
    shutil.rmtree(models)
    assert (await service.post(blobs_png)).content == small.content


@pytest.mark.fault("reload: bundles appear and vanish", "they are there and gone")
async def test_bundles_that_appear_and_vanish_are_there_and_gone(service, toy_bundle, models, blobs_png):
    assert (await service.post(blobs_png, model="cells")).status_code == 404
    assert (await service.post(blobs_png, "/v1/confluency")).json()["fallback"]["reason"] == "there is no bundle cells"
    toy_bundle(models, "cells", confluency_of="cell")
    shutil.rmtree(models / "blood")
    await service.reload()
    assert [model["name"] for model in (await service.get("/v1/models"))["models"]] == ["cells", "nuclei"]
    assert (await service.post(blobs_png, "/v1/confluency")).json()["model"]["name"] == "cells"
    assert (await service.post(blobs_png, model="blood")).status_code == 404
    shutil.rmtree(models / "nuclei")
    await service.reload()
    assert (await service.post(blobs_png)).json()["fallback"]["reason"] == "there is no bundle nuclei"


@pytest.mark.fault("reload: new bundle damaged", "/readyz 503 names it; the others answer")
async def test_a_new_bundle_that_does_not_pass_is_named_as_at_the_start(service, models, blobs_png):
    (models / "cells").mkdir()
    await service.reload()
    ready = await service.client.get("/readyz")
    assert ready.status_code == 503
    assert "bundle cells: model_card.json is missing" in ready.json()["error"]["message"]
    assert (await service.post(blobs_png)).json()["method"] == "unet"
    assert await service.metric('monolayer_loaded_bundles{state="broken"} 1.0')


async def test_a_successor_that_finds_no_room_on_the_gpu_does_not_take_over_on_the_cpu(service, replace, blobs_png):
    service.networks["nuclei"].provider = CUDA
    replace("2.0.0")
    await service.reload()
    state, version, problem = await service.state()
    assert (state, version) == ("stale", "1.2.0")
    assert problem == "there was no room for it on CUDAExecutionProvider, it would run on CPUExecutionProvider"


async def test_a_bundle_that_was_broken_is_mended_by_a_reload(service, models, toy_bundle):
    (models / "cells").mkdir()
    await service.reload()
    shutil.rmtree(models / "cells")
    toy_bundle(models, "cells")
    await service.reload()
    assert (await service.client.get("/readyz")).status_code == 200


@pytest.mark.fault("reload: the folder of bundles has gone", "all bundles answer as before, shown as stale")
async def test_a_folder_that_has_gone_takes_no_bundle_with_it(service, models, blobs_png):
    expected = (await service.post(blobs_png)).content
    shutil.rmtree(models)
    await service.reload()
    assert (await service.post(blobs_png)).content == expected
    assert await service.state() == ("stale", "1.2.0", "the folder of bundles 'models' does not exist")
    assert (await service.client.get("/readyz")).status_code == 200


@pytest.mark.fault("reload: SystemExit while loading", "logged and counted; everything stays as it is")
async def test_a_reload_that_fails_altogether_leaves_everything_as_it_is(service, blobs_png, monkeypatch, logged):
    expected = (await service.post(blobs_png)).content

    def fail(self, registry):
        raise SystemExit("no way")

    with monkeypatch.context() as patch:
        patch.setattr(service.app.state.reloader, "_load", lambda registry: fail(None, registry))
        await service.reload()
    assert (await service.post(blobs_png)).content == expected
    assert await service.metric('monolayer_reloads_total{outcome="failed"} 1.0')
    assert "reload failed" in [event["event"] for event in logged]
    await service.reload()
    assert await service.metric('monolayer_reloads_total{outcome="complete"} 1.0')


async def test_memory_that_cannot_be_given_back_afterwards_takes_no_bundle_back(service, replace, monkeypatch, logged):
    def fail(registry):
        raise PredictionError("no run")

    monkeypatch.setattr(reloading, "give_back_memory", fail)
    replace("2.0.0")
    await service.reload()
    assert await service.state() == ("ready", "2.0.0", None)
    assert await service.metric('monolayer_reloads_total{outcome="complete"} 1.0')
    assert "memory not given back" in [event["event"] for event in logged]


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
    session = weakref.ref(old().open(old().warm_sizes[0]))
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
