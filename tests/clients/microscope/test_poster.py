"""Frames between camera and service: copied, bounded, none lost without being counted."""

import io
import threading

import numpy as np
import pytest

from monolayer_client.client import Client
from monolayer_client.errors import RefusedError, UnavailableError
from monolayer_client.microscope.frame import FrameMetadata, positive
from monolayer_client.microscope.poster import FramePoster, FramesFailedError

ONE_OBJECT = np.array([[1, 1, 0]], dtype=np.uint16)


def at(t):
    return FrameMetadata({"t": t})


@pytest.fixture
def fake(service):
    with Client("http://service.test", transport=service.transport, patience_s=0) as client:
        yield client


class Gate:
    """Holds the first answer back until it is opened."""

    def __init__(self):
        self.results = []
        self.has_arrived = threading.Event()
        self.is_open = threading.Event()

    def __call__(self, result):
        self.results.append(result)
        self.has_arrived.set()
        assert self.is_open.wait(60)

    @property
    def times(self):
        return [each.metadata.index["t"] for each in self.results]


def test_the_answer_comes_with_the_metadata_and_the_service_gives_them_back(fake, service):
    results = []
    metadata = FrameMetadata(
        {"t": 1, "p": 2, "c": 0, "z": 3}, 0.65, "DAPI", 20.0, "B03", {"x": 10.5, "y": -2.0, "z": 3.0}
    )
    with FramePoster(fake, results.append, min_area_px=1) as poster:
        poster.put(ONE_OBJECT, metadata)
    (answer,) = results
    assert answer.metadata is metadata
    assert answer.result.count == 1
    assert answer.result.image.pixel_size_um == 0.65
    assert answer.result.echo == {
        "t": "1",
        "p": "2",
        "c": "0",
        "z": "3",
        "channel": "DAPI",
        "exposure_ms": "20.0",
        "position": "B03",
        "stage_x_um": "10.5",
        "stage_y_um": "-2.0",
        "stage_z_um": "3.0",
    }
    assert answer.latency_s > 0
    assert poster.answered == 1
    (post,) = service.posts
    assert post.url.path == "/v1/confluency"
    assert post.url.params["min_area_px"] == "1"


def test_what_the_caller_says_goes_before_what_the_camera_says(fake):
    results = []
    with FramePoster(fake, results.append, pixel_size_um=0.3, echo={"plate": 7}) as poster:
        poster.put(ONE_OBJECT, FrameMetadata({"t": 0}, pixel_size_um=1.0))
    assert results[0].result.image.pixel_size_um == 0.3
    assert results[0].result.echo == {"t": "0", "plate": "7"}


def test_objects_are_asked_for_on_demand(fake):
    results = []
    with FramePoster(fake, results.append, call="segment") as poster:
        poster.put(ONE_OBJECT, at(0))
    np.testing.assert_array_equal(results[0].result.labels(), ONE_OBJECT)


def test_the_frame_is_copied_before_the_camera_writes_over_it(fake, service):
    gate = Gate()
    with FramePoster(fake, gate) as poster:
        buffer = ONE_OBJECT.copy()
        for t in range(3):
            buffer[:] = t
            poster.put(buffer, at(t))
        gate.is_open.set()
    assert [int(np.load(io.BytesIO(post.content)).max()) for post in service.posts] == [0, 1, 2]


def test_where_the_queue_is_full_the_oldest_frame_gives_way_and_is_counted(fake, caplog):
    gate = Gate()
    with FramePoster(fake, gate, queue_length=2) as poster:
        poster.put(ONE_OBJECT, at(0))
        assert gate.has_arrived.wait(60)
        for t in range(1, 6):  # none of them stalls the camera
            poster.put(ONE_OBJECT, at(t))
        gate.is_open.set()
    assert gate.times == [0, 4, 5]
    assert (poster.answered, poster.dropped) == (3, 3)
    assert [record.getMessage()[:26] for record in caplog.records] == [
        f"frame {{'t': {t}}} was dropped" for t in (1, 2, 3)
    ]


def test_where_none_may_be_lost_the_camera_waits(fake):
    gate = Gate()
    with FramePoster(fake, gate, queue_length=1, when_full="wait") as poster:
        poster.put(ONE_OBJECT, at(0))
        assert gate.has_arrived.wait(60)
        poster.put(ONE_OBJECT, at(1))
        camera = threading.Thread(target=lambda: [poster.put(ONE_OBJECT, at(t)) for t in (2, 3)])
        camera.start()
        assert len(poster._waiting) == 1
        gate.is_open.set()
        camera.join(60)
    assert gate.times == [0, 1, 2, 3]
    assert poster.dropped == 0


def test_errors_reach_the_caller_when_it_closes_and_the_other_frames_are_answered(fake, service):
    service.script.extend([service.fail(422, "image_unusable", "no pixels"), service.fail(500, "internal_error", "oh")])
    results = []
    poster = FramePoster(fake, results.append)
    for t in range(3):
        poster.put(ONE_OBJECT, at(t))
    with pytest.raises(FramesFailedError, match=r"2 frames failed, the first \{'t': 0\}: no pixels") as raised:
        poster.close()
    assert [each.metadata.index["t"] for each in raised.value.failures] == [0, 1]
    assert isinstance(raised.value.failures[0].error, RefusedError)
    assert [each.metadata.index["t"] for each in results] == [2]
    poster.close()


def test_a_function_for_failures_is_told_at_once(fake, service):
    service.script.extend([service.fail(429, "overloaded", "full", **{"Retry-After": "9"})] * 3)
    failures = []
    with FramePoster(fake, print, on_failure=failures.append) as poster:
        poster.put(ONE_OBJECT, at(0))
    assert [type(each.error) for each in failures] == [UnavailableError]


def test_an_error_of_the_callers_own_function_is_not_swallowed(fake):
    poster = FramePoster(fake, lambda result: result.no_such_thing)
    poster.put(ONE_OBJECT, at(0))
    with pytest.raises(FramesFailedError, match="no_such_thing"):
        poster.close()


def test_what_ended_the_acquisition_is_not_hidden_by_failures(fake, service):
    service.script.append(service.fail(422, "image_unusable", "no pixels"))

    def acquire():
        with FramePoster(fake, print) as poster:
            poster.put(ONE_OBJECT, at(0))
            raise KeyError("stage")

    with pytest.raises(KeyError, match="stage"):
        acquire()


def test_draining_waits_for_all_answers_and_goes_on(fake):
    results = []
    with FramePoster(fake, results.append, workers=2) as poster:
        for t in range(4):
            poster.put(ONE_OBJECT, at(t))
        poster.drain()
        assert sorted(each.metadata.index["t"] for each in results) == [0, 1, 2, 3]
        poster.put(ONE_OBJECT, at(4))
    assert len(results) == 5
    with pytest.raises(RuntimeError, match="closed"):
        poster.put(ONE_OBJECT, at(5))


@pytest.mark.parametrize("wrong", [{"queue_length": 0}, {"workers": 0}])
def test_a_poster_needs_room_and_hands(fake, wrong):
    with pytest.raises(ValueError, match="at least one"):
        FramePoster(fake, print, **wrong)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.65, 0.65), (np.float64(2), 2.0), (0, None), (None, None), ("1", None)]
)
def test_zero_is_how_micro_manager_says_unknown(value, expected):
    assert positive(value) == expected
