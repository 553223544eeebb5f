"""What happens when a thread at work meets an error that would end it: the caller hears of it, and work goes on."""

import asyncio
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
import structlog.testing

from monolayer_core.errors import PredictionError
from monolayer_service import containment, dependencies, housekeeping
from monolayer_service.analysis import Analyst
from monolayer_service.cancellation import Cancellation
from monolayer_service.housekeeping import Housekeeper
from monolayer_service.scheduler import scheduler as scheduling
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.faults import FaultTolerantEngine
from monolayer_service.segmenters.session import Network
from monolayer_service.telemetry.metrics import Metrics

ENDINGS = [SystemExit(3), asyncio.CancelledError(), CancelledError(), StopIteration(), GeneratorExit()]
"""What would end more than the work it is raised in, if it got out of the thread."""

DOORS = ["/readyz", "/livez"]


@pytest.fixture(autouse=True)
def logged():
    """What is logged, instead of tracebacks with the locals of every frame on the screen."""
    with structlog.testing.capture_logs() as events:
        yield events


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
def test_what_would_end_a_loop_becomes_an_error_of_the_work(error):
    with pytest.raises(containment.BrokenOffError, match=type(error).__name__) as caught:
        containment.contained(raising(error))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [MemoryError("5 GiB"), ValueError("bad"), TimeoutError()])
def test_ordinary_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        containment.contained(raising(error))
    assert caught.value is error


@pytest.mark.fault(
    "a thread of a request meets SystemExit and its like", "500 internal_error; ready, and the next request is answered"
)
@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "place",
    [(Analyst, "analyse"), (dependencies, "check_header"), (dependencies, "decode")],
    ids=lambda place: place[1],
)
def test_a_thread_of_a_request_that_dies_is_a_500_and_the_next_request_is_answered(
    make_client, post_png, monkeypatch, place, error
):
    client = make_client(running_requests=1)
    expected = post_png(client).content
    with monkeypatch.context() as patch:
        patch.setattr(*place, raising(error))
        for _ in range(3):
            answer = post_png(client)
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert post_png(client).content == expected
    assert [client.get(door).status_code for door in DOORS] == [200, 200]
    assert client.app.state.services.gate.is_idle


@pytest.mark.fault(
    "a thread of the network meets SystemExit and its like",
    "K-means answers and says so; ready, and the next request has the network",
)
@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
def test_a_thread_of_the_network_that_dies_is_a_failed_network_and_the_next_request_is_answered(
    make_client, post_png, monkeypatch, error
):
    client = make_client()
    expected = post_png(client).content
    with monkeypatch.context() as patch:
        patch.setattr(FaultTolerantEngine, "run", raising(error))
        for _ in range(5):  # more often than there are threads
            answer = post_png(client).json()
            assert answer["fallback"]["reason"] == "the network failed on this image"
            assert post_png(client, fallback="never").status_code == 503
    assert post_png(client).content == expected
    assert [client.get(door).status_code for door in DOORS] == [200, 200]


@pytest.mark.fault(
    "the scheduler's own step fails in its thread", "whoever waits has a 500 at once; the next request is answered"
)
@pytest.mark.parametrize("step", ["_choose", "_settle", "_report_and_wake"])
@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), ZeroDivisionError()], ids=["memory", "exit", "bug"])
def test_a_fault_of_the_scheduler_itself_reaches_whoever_waits_and_it_goes_on(
    make_client, post_png, monkeypatch, step, error
):
    client = make_client()
    expected = post_png(client).content
    sound, broken = getattr(TileScheduler, step), threading.Event()

    def fail_in_a_thread_of_the_network(self, *args):
        is_network = threading.current_thread().name.startswith("network-")
        if is_network and (step != "_choose" or len(self._queue)) and not broken.is_set():
            broken.set()
            raise error
        return sound(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(TileScheduler, step, fail_in_a_thread_of_the_network)
        answer = post_png(client)
    assert broken.is_set()
    assert answer.status_code == 500
    assert post_png(client).content == expected
    assert client.get("/readyz").status_code == 200
    services = client.app.state.services
    assert services.scheduler._running == []
    assert services.gate.is_idle


class Engine:
    """Adds one to every pixel."""

    def batch_limit(self, device, tile_px):
        return 1

    def run(self, tiles, device, *, alone):
        return [scheduling.TileOutcome(tiles + 1, device)]


def ask(scheduler, engine):
    tiles = (np.full((1, 4, 4, 1), value, np.uint8) for value in range(3))
    with scheduler.open(engine, "cpu", 48, Cancellation(), lambda _: None) as stream:
        return [int(answer[0, 0, 0, 0]) for answer in stream.answers(tiles)]


@pytest.mark.fault("a network gives too few answers", "it has failed; K-means answers and says so")
def test_a_network_that_gives_fewer_answers_than_tiles_has_failed():
    class Mute(Engine):
        def run(self, tiles, device, *, alone):
            return []

    scheduler = TileScheduler(Metrics(), patience_seconds=0.0)
    scheduler.start(1)
    with pytest.raises(PredictionError, match="0 answers to 1 tiles"):
        ask(scheduler, Mute())
    assert ask(scheduler, Engine()) == [1, 2, 3]
    scheduler.close()


@pytest.fixture
def without_threads(make_client, monkeypatch):
    """A service all of whose network threads have ended, as no known fault makes them."""
    client = make_client()
    scheduler = client.app.state.services.scheduler
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)
        patch.setattr(TileScheduler, "_start_over", raising(MemoryError()))
        patch.setattr(TileScheduler, "_choose", raising(MemoryError()))
        with scheduler._changed:
            scheduler._changed.notify_all()
        for thread in scheduler._threads:
            thread.join(30)
    return client


@pytest.mark.fault("every thread of the network has ended", "/readyz 503 says so; K-means answers and says so")
def test_threads_that_have_ended_all_the_same_let_readiness_fall_and_nobody_waits_for_them(without_threads, post_png):
    ready = without_threads.get("/readyz")
    assert ready.status_code == 503
    assert "threads that run networks have ended" in ready.json()["error"]["message"]
    assert int(ready.headers["retry-after"]) >= 1
    assert without_threads.get("/livez").status_code == 200
    assert post_png(without_threads).json()["fallback"]["reason"] == "the network failed on this image"
    assert post_png(without_threads, fallback="never").status_code == 503


@pytest.mark.fault(
    "a run of the network does not come back", "/readyz 503 says so until it does; callers have a 503 at their deadline"
)
def test_a_network_that_does_not_come_back_lets_readiness_fall_until_it_does(make_client, post_png, monkeypatch):
    client = make_client()
    entered, go_on, run = threading.Event(), threading.Event(), Network.run

    def hang(self, tiles, provider=None, *, alone=True):
        entered.set()
        assert go_on.wait(60)
        return run(self, tiles, provider, alone=alone)

    monkeypatch.setattr(Network, "run", hang)
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(post_png, client)
        assert entered.wait(60)
        assert client.get("/readyz").status_code == 200
        monkeypatch.setattr(scheduling, "STUCK_SECONDS", -1.0)
        ready = client.get("/readyz")
        go_on.set()
    assert ready.status_code == 503
    assert "a network has not come back for" in ready.json()["error"]["message"]
    assert answer.result().status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.fault("memory cannot be given back", "logged; the next look comes")
async def test_a_thread_that_dies_while_memory_is_given_back_is_an_error_of_that_look(make_gate, monkeypatch):
    gate = make_gate()
    async with gate.enter() as ticket:
        await ticket.start(1)
    monkeypatch.setattr(housekeeping, "give_back_memory", raising(SystemExit(3)))
    housekeeper = Housekeeper(gate, object)
    await housekeeper.look()
    with pytest.raises(containment.BrokenOffError):
        await housekeeper.look()
