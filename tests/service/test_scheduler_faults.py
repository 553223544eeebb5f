"""Requests that are no longer wanted, and networks that fail: whom it concerns, and whom it does not."""

import contextlib

import numpy as np
import pytest
from tests.service.scheduling import SECONDS, Engine, ask, read, tiles, values

from monolayer_core.errors import PredictionError
from monolayer_service.cancellation import Cancellation
from monolayer_service.errors import DeadlineError
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.scheduler.tile_queue import TileOutcome
from monolayer_service.telemetry.metrics import Metrics


@pytest.mark.parametrize("error", [DeadlineError("late"), ConnectionError("gone")], ids=["deadline", "disconnected"])
def test_tiles_of_a_request_that_is_no_longer_wanted_are_removed_at_once(make_scheduler, requests, error):
    scheduler, engine, cancellation = make_scheduler(), Engine(is_held=True), Cancellation()
    request = requests.submit(ask, scheduler, engine, *range(50), cancellation=cancellation)
    assert engine.entered.acquire(timeout=SECONDS)
    cancellation.cancel(error)
    assert read(scheduler, "monolayer_queued_tiles") == 0
    with pytest.raises(type(error)):
        request.result(SECONDS)  # while its first tile is still in the network
    engine.let_go.release(10)
    assert ask(scheduler, engine, 7) == [8]
    assert engine.batches == [[0], [7]]


def test_a_request_that_was_cancelled_before_it_came_runs_nothing(make_scheduler):
    scheduler, engine, cancellation = make_scheduler(), Engine(), Cancellation()
    cancellation.cancel(DeadlineError("late"))
    with pytest.raises(DeadlineError):
        ask(scheduler, engine, 1, cancellation=cancellation)
    assert engine.batches == []


def test_a_request_cancelled_between_two_tiles_submits_no_more(make_scheduler):
    scheduler, engine, cancellation = make_scheduler(), Engine(), Cancellation()

    def cutting():
        yield from tiles(1, 2)
        cancellation.cancel(DeadlineError("late"))
        yield from tiles(3)

    with (
        pytest.raises(DeadlineError),
        scheduler.open(engine, "cpu", 48, cancellation, lambda _: None) as stream,
    ):
        list(stream.answers(cutting()))
    assert [3] not in engine.batches


def test_a_request_that_fails_on_its_side_takes_its_tiles_along(make_scheduler, requests):
    scheduler, engine = make_scheduler(), Engine(is_held=True)
    engine.let_go.release(1)

    def use_first_answer_badly():
        with scheduler.open(engine, "cpu", 160, Cancellation(), lambda _: None) as stream:
            next(stream.answers(tiles(*range(10))))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_first_answer_badly()
    assert read(scheduler, "monolayer_queued_tiles") == 0
    engine.let_go.release(10)


@pytest.mark.parametrize("error", [MemoryError("5 GiB"), PredictionError("broken"), ZeroDivisionError()])
def test_whatever_a_network_does_its_thread_goes_on_and_the_request_hears_of_it(make_scheduler, error):
    scheduler, engine = make_scheduler(), Engine()

    def fail(_):
        raise error

    engine.fail = fail
    with pytest.raises(type(error)):
        ask(scheduler, engine, 1, 2)
    engine.fail = lambda _: None
    assert ask(scheduler, engine, 3) == [4]


class MixedEngine(Engine):
    """Fails on dark tiles; bright ones only work on the other device."""

    def run(self, tiles, device, *, alone):
        self.batches.append((tiles[:, 0, 0, 0].tolist(), device))
        return [
            TileOutcome(PredictionError("dark"), device)
            if tile[0, 0, 0] == 0
            else TileOutcome(tile[np.newaxis], "other" if tile[0, 0, 0] > 200 else device)
            for tile in tiles
        ]


def test_a_tile_that_fails_fails_its_own_request_only(make_scheduler, requests):
    scheduler, engine = TileScheduler(Metrics(), patience_seconds=0.0), MixedEngine(4)
    with (
        contextlib.closing(scheduler),
        scheduler.open(engine, "cpu", 16, Cancellation(), lambda _: None) as dark,
        scheduler.open(engine, "cpu", 16, Cancellation(), lambda _: None) as grey,
    ):
        queued = [scheduler.submit(stream._job, next(tiles(value))) for stream, value in ((dark, 0), (grey, 9))]
        scheduler.start(1)
        assert values([queued[1].answer.result(SECONDS)]) == [9]
        with pytest.raises(PredictionError, match="dark"):
            queued[0].answer.result(SECONDS)


def test_a_request_stays_on_the_device_that_one_of_its_tiles_had_to_go_to(make_scheduler):
    scheduler, engine = make_scheduler(), MixedEngine()
    with scheduler.open(engine, "cpu", 64, Cancellation(), lambda _: None) as stream:
        assert values(stream.answers(iter([*tiles(1), *tiles(201)]))) == [1, 201]
        assert values(stream.answers(tiles(2, 3))) == [2, 3]
        assert stream.device == "other"
    assert engine.batches == [([1], "cpu"), ([201], "cpu"), ([2], "other"), ([3], "other")]


@pytest.mark.parametrize("seed", range(5))
def test_whoever_is_cancelled_the_others_get_their_own_answers_and_nothing_is_left(make_scheduler, requests, seed):
    """Many requests at once on two threads of the network, every third of which is cancelled somewhere on its way."""
    scheduler, engine = make_scheduler(2, 0.001), Engine(4)
    cancel_after = np.random.default_rng(seed).integers(0, 30, 60)

    def one(number):
        cancellation = Cancellation()
        answered = []

        def count(_):
            answered.append(number)
            if number % 3 == 0 and len(answered) == cancel_after[number]:
                cancellation.cancel(DeadlineError("late"))

        first = number % 200
        asked = [(first + step) % 200 for step in range(1 + number % 30)]
        try:
            with scheduler.open(engine, "cpu", 16 * len(asked), cancellation, count) as stream:
                return values(stream.answers(tiles(*asked))) == [value + 1 for value in asked]
        except DeadlineError:
            return number % 3 == 0

    assert all(requests.map(one, range(60), timeout=SECONDS))
    assert read(scheduler, "monolayer_queued_tiles") == 0
    assert scheduler._queue.jobs == ()
