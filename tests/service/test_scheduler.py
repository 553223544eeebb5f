"""The network's threads and the requests' way to them."""

import contextlib

import pytest
from tests.service.scheduling import SECONDS, Engine, ask, read, tiles, values

from monolayer_service.cancellation import Cancellation
from monolayer_service.scheduler.scheduler import FEWEST_WINDOW_BATCHES, TileScheduler
from monolayer_service.telemetry.metrics import Metrics


@pytest.mark.parametrize("runs_at_once", [1, 2])
@pytest.mark.parametrize("limit", [1, 3])
def test_answers_come_in_the_order_of_the_tiles(make_scheduler, requests, runs_at_once, limit):
    scheduler, engine = make_scheduler(runs_at_once), Engine(limit)
    asked = [range(first, first + 20) for first in range(0, 160, 20)]
    answers = requests.map(lambda numbers: ask(scheduler, engine, *numbers), asked)
    assert list(answers) == [[number + 1 for number in numbers] for numbers in asked]


def test_a_request_keeps_a_few_tiles_in_flight_and_no_more(make_scheduler):
    cut = []
    scheduler, engine = make_scheduler(), Engine()

    def cutting():
        for pixels in tiles(*range(9)):
            cut.append(len(cut))
            yield pixels

    with scheduler.open(engine, "cpu", 9 * 16, Cancellation(), lambda _: None) as stream:
        answers = stream.answers(cutting())
        next(answers)
        assert len(cut) == FEWEST_WINDOW_BATCHES
        next(answers)
        assert len(cut) == FEWEST_WINDOW_BATCHES + 1


def test_a_frame_passes_a_slide_and_gets_its_answer_while_the_slide_is_not_done(make_scheduler, requests):
    scheduler, engine = make_scheduler(), Engine(is_held=True)
    slide = requests.submit(ask, scheduler, engine, *range(100))
    assert engine.entered.acquire(timeout=SECONDS)
    with scheduler.open(engine, "cpu", 16, Cancellation(), lambda _: None) as stream:
        frame = scheduler.submit(stream._job, next(tiles(200)))
        engine.let_go.release(2)
        assert values([frame.answer.result(SECONDS)]) == [201]
    assert engine.batches[:2] == [[0], [200]]
    engine.let_go.release(1000)
    assert slide.result(SECONDS) == list(range(1, 101))


def test_a_frame_starts_beside_a_large_tile_that_is_in_the_network(make_scheduler, requests):
    scheduler, engine, quick = make_scheduler(guests=1), Engine(is_held=True), Engine()

    def ask_large():
        with scheduler.open(engine, "cpu", 2 * 64, Cancellation(), lambda _: None) as stream:
            return values(stream.answers(tiles(0, 1, side=8)))

    slide = requests.submit(ask_large)
    assert engine.entered.acquire(timeout=SECONDS)
    for value in (200, 210):
        assert ask(scheduler, quick, value) == [value + 1]
    assert engine.batches == [[0]], "the slide's next tile waits for its first one"
    engine.let_go.release(2)
    assert slide.result(SECONDS) == [1, 2]
    assert read(scheduler, "monolayer_batch_size_tiles_count") == 4


def test_a_slide_goes_on_while_a_guest_is_still_in_the_network(make_scheduler, requests):
    scheduler, engine, slow = make_scheduler(guests=1), Engine(is_held=True), Engine(is_held=True)

    def ask_large():
        with scheduler.open(engine, "cpu", 2 * 64, Cancellation(), lambda _: None) as stream:
            return values(stream.answers(tiles(0, 1, side=8)))

    slide = requests.submit(ask_large)
    assert engine.entered.acquire(timeout=SECONDS)
    frame = requests.submit(ask, scheduler, slow, 200)
    assert slow.entered.acquire(timeout=SECONDS)
    engine.let_go.release(2)
    assert slide.result(SECONDS) == [1, 2]
    slow.let_go.release()
    assert frame.result(SECONDS) == [201]


@pytest.mark.parametrize(
    ("guests", "work"),
    [
        pytest.param(0, 16, id="where there are no guests"),
        pytest.param(1, 17, id="with more than a fourth to do"),
    ],
)
def test_a_request_waits_for_the_run(make_scheduler, requests, guests, work):
    scheduler, engine, other = make_scheduler(guests=guests), Engine(is_held=True), Engine()
    with (
        scheduler.open(engine, "cpu", 64, Cancellation(), lambda _: None) as large,
        scheduler.open(other, "cpu", work, Cancellation(), lambda _: None) as small,
    ):
        host = scheduler.submit(large._job, next(tiles(0, side=8)))
        assert engine.entered.acquire(timeout=SECONDS)
        tile = scheduler.submit(small._job, next(tiles(200)))
        assert scheduler._choose(0.0) == (None, None)
        assert other.batches == []
        engine.let_go.release()
        assert values(queued.answer.result(SECONDS) for queued in (host, tile)) == [1, 201]


def test_tiles_of_several_requests_share_a_batch(make_scheduler, requests):
    scheduler, engine = make_scheduler(), Engine(4, is_held=True)
    first = requests.submit(ask, scheduler, engine, 1)
    assert engine.entered.acquire(timeout=SECONDS)
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(scheduler.open(engine, "cpu", 16, Cancellation(), lambda _: None)) for _ in range(4)
        ]
        queued = [
            scheduler.submit(stream._job, pixels) for stream, pixels in zip(streams, tiles(10, 20, 30, 40), strict=True)
        ]
        engine.let_go.release(2)
        assert values(tile.answer.result(SECONDS) for tile in queued) == [11, 21, 31, 41]
    assert first.result(SECONDS) == [2]
    assert engine.batches == [[1], [10, 20, 30, 40]]
    assert read(scheduler, 'monolayer_batch_size_tiles_bucket{le="4.0"}') == 2
    assert read(scheduler, "monolayer_batch_size_tiles_sum") == 5


@contextlib.contextmanager
def submitted(scheduler, engine, *pixel_values):
    """Tiles of as many requests, all in the queue; gives the promises of their answers."""
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(scheduler.open(engine, "cpu", 16, Cancellation(), lambda _: None)) for _ in pixel_values
        ]
        yield [
            scheduler.submit(stream._job, next(tiles(value))).answer
            for stream, value in zip(streams, pixel_values, strict=True)
        ]


def test_tiles_that_wait_share_the_network_and_the_last_one_does_not_get_it_alone_while_another_runs():
    scheduler, engine = TileScheduler(Metrics(), patience_seconds=0.0), Engine(is_held=True)
    with contextlib.closing(scheduler), submitted(scheduler, engine, 1, 2, 3) as answers:
        scheduler.start(2, one_takes_all=True)
        for _ in range(2):
            assert engine.entered.acquire(timeout=SECONDS)
        assert not engine.entered.acquire(blocking=False), "there are two places"
        engine.let_go.release()
        assert engine.entered.acquire(timeout=SECONDS)
        engine.let_go.release(2)
        assert values(answer.result(SECONDS) for answer in answers) == [2, 3, 4]
    assert engine.alone == [False, False, False]


def test_a_tile_with_none_behind_it_takes_the_place_of_all(make_scheduler):
    scheduler, engine = make_scheduler(2, one_takes_all=True), Engine(is_held=True)
    with submitted(scheduler, engine, 1) as (first,):
        assert engine.entered.acquire(timeout=SECONDS)
        with submitted(scheduler, engine, 2) as (second,):
            assert read(scheduler, "monolayer_queued_tiles") == 1, "the first one has both places"
            engine.let_go.release(2)
            assert values([first.result(SECONDS), second.result(SECONDS)]) == [2, 3]
    assert engine.alone == [True, True]


@pytest.mark.parametrize(("runs_at_once", "alone"), [(1, True), (2, False)])
def test_where_none_takes_all_a_tile_is_alone_only_if_there_is_no_second_place(make_scheduler, runs_at_once, alone):
    scheduler, engine = make_scheduler(runs_at_once), Engine()
    assert ask(scheduler, engine, 7) == [8]
    assert engine.alone == [alone]


def test_a_guest_does_not_get_the_network_alone(make_scheduler, requests):
    scheduler, engine, quick = make_scheduler(2, guests=1, one_takes_all=True), Engine(is_held=True), Engine()

    def ask_large():
        with scheduler.open(engine, "cpu", 64, Cancellation(), lambda _: None) as stream:
            return values(stream.answers(tiles(0, side=8)))

    slide = requests.submit(ask_large)
    assert engine.entered.acquire(timeout=SECONDS)
    assert ask(scheduler, quick, 200) == [201]
    assert (engine.alone, quick.alone) == ([True], [False])
    engine.let_go.release()
    assert slide.result(SECONDS) == [1]


def test_a_request_keeps_a_tile_ready_for_every_place(make_scheduler):
    cut = []

    def cutting():
        for pixels in tiles(*range(20)):
            cut.append(len(cut))
            yield pixels

    with make_scheduler(6).open(Engine(), "cpu", 20 * 16, Cancellation(), lambda _: None) as stream:
        next(stream.answers(cutting()))
    assert len(cut) == 7


def test_pixels_are_counted_as_they_are_answered(make_scheduler):
    done = []
    ask(make_scheduler(), Engine(), 1, 2, 3, done=done)
    assert done == [16, 16, 16]


def test_a_network_is_busy_while_it_runs(make_scheduler, requests):
    scheduler, engine = make_scheduler(), Engine(is_held=True)
    assert read(scheduler, "monolayer_network_utilisation_ratio") == 0
    request = requests.submit(ask, scheduler, engine, 1)
    assert engine.entered.acquire(timeout=SECONDS)
    during = read(scheduler, "monolayer_network_utilisation_ratio")
    assert read(scheduler, "monolayer_network_utilisation_ratio") > during >= 0
    engine.let_go.release()
    request.result(SECONDS)
    assert read(scheduler, "monolayer_network_busy_seconds_total") > 0
    assert read(scheduler, "monolayer_tile_wait_seconds_count") == 1


def test_closing_wakes_those_who_wait(requests):
    scheduler, engine = TileScheduler(Metrics(), patience_seconds=0.0), Engine(is_held=True)
    scheduler.start(1)
    request = requests.submit(ask, scheduler, engine, 1, 2)
    assert engine.entered.acquire(timeout=SECONDS)
    engine.let_go.release(1)
    scheduler.close()
    with pytest.raises(RuntimeError, match="closed"):
        request.result(SECONDS)
