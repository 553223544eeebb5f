"""What is tried when the network fails: half a batch, the CPU, K-means, a refusal."""

import numpy as np
import pytest

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import read_card
from monolayer_service.errors import DeadlineError
from monolayer_service.segmenters.onnx import FaultTolerantCall
from monolayer_service.segmenters.session import CPU, CUDA
from monolayer_service.telemetry.metrics import Metrics


class FlakyNetwork:
    """Fails as it is told, and remembers what it was asked."""

    def __init__(self, card, fails, actual=None):
        self.card = card
        self.wanted = CUDA
        self.runs = []
        self._fails = fails
        self._actual = actual

    def provider_of(self, size, provider):
        return self._actual or provider

    def run(self, tiles, provider):
        self.runs.append((len(tiles), provider))
        if self._fails(len(tiles), provider):
            raise PredictionError("out of memory")
        return tiles + 1


@pytest.fixture
def call(toy_bundles):
    card = read_card(toy_bundles / "nuclei")

    def make(fails, **options):
        network = FlakyNetwork(card, fails, **options)
        return network, FaultTolerantCall(network, lambda: None, Metrics())

    return make


TILES = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)


def test_a_network_that_works_is_asked_once(call):
    network, predict = call(lambda n, provider: False)
    np.testing.assert_array_equal(predict(TILES), TILES + 1)
    assert network.runs == [(5, CUDA)]
    assert predict.provider == CUDA


def test_a_batch_that_is_too_large_is_halved_and_stays_in_order(call):
    network, predict = call(lambda n, provider: n > 2)
    np.testing.assert_array_equal(predict(TILES), TILES + 1)
    assert network.runs == [(5, CUDA), (2, CUDA), (3, CUDA), (1, CUDA), (2, CUDA)]
    assert predict.provider == CUDA


def test_a_tile_that_still_fails_goes_to_the_cpu_and_the_rest_of_the_request_too(call):
    network, predict = call(lambda n, provider: provider == CUDA)
    np.testing.assert_array_equal(predict(TILES), TILES + 1)
    predict(TILES)
    assert predict.provider == CPU
    assert network.runs == [(5, CUDA), (2, CUDA), (1, CUDA), (1, CPU), (1, CPU), (3, CPU), (5, CPU)]


def test_the_next_request_tries_the_gpu_again(call):
    network, predict = call(lambda n, provider: provider == CUDA)
    predict(TILES)
    assert FaultTolerantCall(network, lambda: None, Metrics()).provider == CUDA


def test_when_nothing_is_left_the_error_is_passed_on(call):
    network, predict = call(lambda n, provider: True)
    with pytest.raises(PredictionError):
        predict(TILES)
    assert network.runs[-1] == (1, CPU)


def test_a_deadline_is_no_fault_to_be_mended(toy_bundles):
    network = FlakyNetwork(read_card(toy_bundles / "nuclei"), lambda n, provider: False)

    def too_late():
        raise DeadlineError("late")

    with pytest.raises(DeadlineError):
        FaultTolerantCall(network, too_late, Metrics())(TILES)
    assert network.runs == []


@pytest.fixture
def failing_client(make_client, monkeypatch):
    from monolayer_service.segmenters.session import Network

    client = make_client()

    def fail(self, tiles, provider=None):
        raise PredictionError("the card is on fire at 0x7f00")

    monkeypatch.setattr(Network, "run", fail)
    return client


def test_kmeans_steps_in_and_the_answer_says_so(failing_client, post_png):
    answer = post_png(failing_client, min_area_px=3, tta=True)
    assert answer.status_code == 200
    assert answer.json()["method"] == "kmeans"
    assert answer.json()["model"] is None
    assert answer.json()["fallback"] == {"reason": "the network failed on this image", "ignored_options": ["tta"]}
    assert answer.json()["count"] == 3
    assert 'monolayer_faults_total{next="kmeans"} 1.0' in failing_client.get("/metrics").text


def test_without_fallback_it_is_a_503_and_nothing_of_the_inside_is_shown(failing_client, post_png):
    answer = post_png(failing_client, fallback="never")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "network_unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    assert "0x7f00" not in answer.text


def test_exhausted_memory_is_a_503_that_says_when_to_come_back(make_client, post_png, monkeypatch):
    def exhaust(*_, **__):
        raise MemoryError("cannot allocate 5 GiB")

    client = make_client()
    monkeypatch.setattr("monolayer_service.segmenters.onnx.interpret", exhaust)
    answer = post_png(client)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "memory_exhausted"
    assert int(answer.headers["retry-after"]) >= 1
    assert "GiB" not in answer.text


def test_a_gpu_that_turns_out_not_to_work_for_a_new_size_is_not_named_in_the_answer(call):
    _, predict = call(lambda n, provider: False, actual=CPU)
    predict(TILES)
    assert predict.provider == CPU


def test_a_bundle_with_a_strange_name_can_be_announced_in_a_header(make_client, post_png, toy_bundle, tmp_path):
    (tmp_path / "β cells").mkdir()
    answer = post_png(make_client(models=tmp_path), model="β cells")
    assert answer.json()["fallback"]["reason"] == "the bundle β cells is not usable"
    assert answer.headers["x-fallback"] == "the bundle %CE%B2 cells is not usable"


def test_a_broken_bundle_is_not_ready_but_requests_are_answered(make_client, post_png, toy_bundle, tmp_path):
    (toy_bundle(tmp_path) / "test_output.npy").unlink()
    client = make_client(models=tmp_path)
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "bundle nuclei" in ready.json()["error"]["message"]
    assert ready.headers["retry-after"]
    assert client.get("/livez").status_code == 200
    for query in ({}, {"model": "nuclei"}):
        answer = post_png(client, **query).json()
        assert answer["method"] == "kmeans"
        assert answer["fallback"]["reason"] == "the bundle nuclei is not usable"
    assert client.get("/v1/models/nuclei").json()["state"] == "broken"
