"""How tiles of several requests are put together into batches. Time is passed in: nothing here waits."""

import numpy as np
import pytest

from monolayer_service.scheduler.tile_queue import TileQueue

GPU, CPU = "gpu", "cpu"


class Engine:
    """Says how many tiles a batch may hold; runs nothing."""

    def __init__(self, limit=4):
        self.limit = limit

    def batch_limit(self, device, tile_px):
        return self.limit if device == GPU else 1


def tile(side=8):
    return np.zeros((1, side, side, 1), np.uint8)


@pytest.fixture
def queue():
    return TileQueue(patience_seconds=0.5)


def put(queue, job, count, side=8, now=0.0):
    return [queue.put(job, tile(side), now) for _ in range(count)]


def numbers(batch):
    return [one.job.number for one in batch]


def test_nothing_is_taken_from_an_empty_queue(queue):
    assert queue.take(0.0) is None
    assert queue.due_in(0.0) is None
    queue.open(Engine(), GPU, 64)
    assert queue.due_in(0.0) is None


def test_tiles_of_several_requests_share_a_batch(queue):
    engine = Engine()
    first, second = queue.open(engine, GPU, 3 * 64), queue.open(engine, GPU, 64)
    put(queue, first, 3)
    put(queue, second, 1)
    assert numbers(queue.take(0.0)) == [2, 1, 1, 1]
    assert len(queue) == 0


@pytest.mark.parametrize("difference", ["side", "network", "device"])
def test_tiles_that_differ_do_not_share_a_batch(queue, difference):
    engine, side = Engine(), 16 if difference == "side" else 8
    other = Engine() if difference == "network" else engine
    device = CPU if difference == "device" else GPU
    put(queue, queue.open(engine, GPU, 64), 1)
    put(queue, queue.open(other, device, side * side), 1, side=side)
    assert numbers(queue.take(0.0)) == [1]
    assert numbers(queue.take(0.0)) == [2]


def test_a_full_batch_does_not_wait(queue):
    job = queue.open(Engine(), GPU, 100 * 64)
    put(queue, job, 3)
    assert queue.take(0.0) is None
    put(queue, job, 1)
    assert queue.due_in(0.0) == 0
    assert len(queue.take(0.0)) == 4


def test_a_batch_that_is_not_full_waits_as_long_as_more_may_come_but_no_longer_than_its_patience(queue):
    job = queue.open(Engine(), GPU, 100 * 64)
    put(queue, job, 2, now=10.0)
    assert queue.due_in(10.2) == pytest.approx(0.3)
    assert queue.take(10.4) is None
    assert len(queue.take(10.5)) == 2


def test_a_batch_does_not_wait_when_every_request_has_cut_its_last_tile(queue):
    engine = Engine()
    job = queue.open(engine, GPU, 64)
    put(queue, job, 1)
    assert queue.due_in(0.0) == 0
    other = queue.open(engine, GPU, 64)
    assert queue.due_in(0.0) == 0.5
    put(queue, other, 1)
    assert numbers(queue.take(0.0)) == [1, 2]


def test_a_request_of_another_network_is_not_waited_for(queue):
    job = queue.open(Engine(), GPU, 64)
    queue.open(Engine(), GPU, 64)
    put(queue, job, 1)
    assert len(queue.take(0.0)) == 1


def test_a_lane_that_may_run_is_not_held_up_by_one_that_waits(queue):
    engine = Engine()
    patient, full = queue.open(engine, GPU, 1000 * 64), queue.open(engine, GPU, 4 * 256)
    put(queue, patient, 1)
    put(queue, full, 4, side=16)
    assert numbers(queue.take(0.0)) == [2, 2, 2, 2]
    assert queue.take(0.0) is None


def test_on_a_cpu_tiles_run_one_by_one_and_never_wait(queue):
    job = queue.open(Engine(), CPU, 100 * 64)
    put(queue, job, 2)
    assert [len(queue.take(0.0)), len(queue.take(0.0))] == [1, 1]


def test_sizes_of_batches_are_few(queue):
    job = queue.open(Engine(limit=8), GPU, 7 * 64)
    put(queue, job, 7)
    assert [len(queue.take(0.0)) for _ in range(3)] == [4, 2, 1]


def test_tiles_of_a_request_keep_their_order_across_sides(queue):
    job = queue.open(Engine(), GPU, 2 * 64 + 256)
    small, large, last = queue.put(job, tile(8), 0.0), queue.put(job, tile(16), 0.0), queue.put(job, tile(8), 0.0)
    assert [queue.take(0.0) for _ in range(3)] == [[small], [large], [last]]


def test_a_frame_shares_the_next_batch_of_a_slide(queue):
    engine = Engine()
    slide = queue.open(engine, GPU, 4000 * 64)
    put(queue, slide, 12)
    queue.take(0.0)
    frame = queue.open(engine, GPU, 64)
    put(queue, frame, 1)
    assert numbers(queue.take(0.0)) == [2, 1, 1, 1]


def test_a_request_that_moves_to_another_device_takes_its_waiting_tiles_along(queue):
    job = queue.open(Engine(), GPU, 4 * 64)
    put(queue, job, 4)
    job.device = CPU
    assert len(queue.take(0.0)) == 1


def test_a_closed_request_leaves_nothing_behind_and_takes_no_more(queue):
    engine = Engine()
    gone, stays = queue.open(engine, GPU, 10 * 64), queue.open(engine, GPU, 64)
    tiles = put(queue, gone, 5)
    put(queue, stays, 1)
    running = [one for one in queue.take(0.0) if one.job is gone]
    late = RuntimeError("late")
    assert set(queue.close(gone, late)) == set(tiles)
    assert running[0] in tiles
    assert len(queue) == 0
    assert queue.close(gone, RuntimeError("again")) == []
    with pytest.raises(RuntimeError, match="late"):
        queue.put(gone, tile(), 0.0)


def test_what_remains_is_what_was_not_taken(queue):
    job = queue.open(Engine(limit=1), GPU, 3 * 64)
    put(queue, job, 2)
    assert (job.uncut_px, job.remaining_px) == (64, 192)
    queue.take(0.0)
    assert (job.uncut_px, job.remaining_px) == (64, 128)
