"""What is tried when the network fails: half a batch, the CPU, K-means, a refusal."""

import cv2
import numpy as np
import pytest

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import read_card
from monolayer_service.routes.answers import header_text
from monolayer_service.segmenters.faults import GROW_AFTER_RUNS, FaultTolerantEngine
from monolayer_service.segmenters.runtime import CPU, CUDA
from monolayer_service.telemetry.metrics import Metrics


class FlakyNetwork:
    """Fails as it is told, and remembers what it was asked."""

    def __init__(self, card, fails, actual=None):
        self.card = card
        self.processor = CPU
        self.wanted = CUDA
        self.provider = CUDA
        self.runs = []
        self.fails = fails
        self._actual = actual

    def provider_of(self, size, provider, *, batch):
        return self._actual or provider

    def run(self, tiles, provider, *, alone):
        self.runs.append((len(tiles), provider))
        if self.fails(len(tiles), provider):
            raise PredictionError("out of memory")
        return tiles + 1


@pytest.fixture
def make_engine(toy_bundles):
    card = read_card(toy_bundles / "nuclei")

    def make(fails, batch_size=8, **options):
        network = FlakyNetwork(card, fails, **options)
        return network, FaultTolerantEngine(network, Metrics(), batch_size=batch_size)

    return make


TILES = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)


def answers(outcomes):
    return np.concatenate([outcome.answer for outcome in outcomes])


def devices(outcomes):
    return [outcome.device for outcome in outcomes]


def test_a_network_that_works_is_asked_once(make_engine):
    network, engine = make_engine(lambda n, provider: False)
    outcomes = engine.run(TILES, CUDA, alone=True)
    np.testing.assert_array_equal(answers(outcomes), TILES + 1)
    assert network.runs == [(5, CUDA)]
    assert devices(outcomes) == [CUDA] * 5


def test_a_batch_that_is_too_large_is_halved_and_stays_in_order(make_engine):
    network, engine = make_engine(lambda n, provider: n > 2)
    outcomes = engine.run(TILES, CUDA, alone=True)
    np.testing.assert_array_equal(answers(outcomes), TILES + 1)
    assert network.runs == [(5, CUDA), (2, CUDA), (3, CUDA), (1, CUDA), (2, CUDA)]
    assert devices(outcomes) == [CUDA] * 5


def test_a_tile_that_still_fails_goes_to_the_cpu_and_the_rest_of_its_batch_too(make_engine):
    network, engine = make_engine(lambda n, provider: provider == CUDA)
    outcomes = engine.run(TILES, CUDA, alone=True)
    np.testing.assert_array_equal(answers(outcomes), TILES + 1)
    assert devices(outcomes) == [CPU] * 5
    assert network.runs == [(5, CUDA), (2, CUDA), (1, CUDA), (1, CPU), (1, CPU), (3, CPU)]


@pytest.mark.fault("GPU and CPU fail", "K-means answers and says so; fallback=never: 503 with Retry-After")
def test_when_nothing_is_left_every_tile_has_an_error(make_engine):
    network, engine = make_engine(lambda n, provider: True)
    outcomes = engine.run(TILES, CUDA, alone=True)
    assert [type(outcome.answer) for outcome in outcomes] == [PredictionError] * 5
    assert network.runs[-1] == (1, CPU)


def test_a_tile_that_fails_everywhere_leaves_the_others_their_answers(make_engine):
    network, engine = make_engine(None)
    network.fails = lambda n, provider: n > 1 or len(network.runs) in (3, 4)  # the first single tile, on both devices
    first, *others = engine.run(TILES, CUDA, alone=True)
    assert isinstance(first.answer, PredictionError)
    np.testing.assert_array_equal(answers(others), TILES[1:] + 1)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches_are_as_large_as_is_set_on_a_gpu_and_one_on_a_cpu(make_engine, batch_size):
    _, engine = make_engine(lambda n, provider: False, batch_size=batch_size)
    assert (engine.batch_limit(CUDA, 256**2), engine.batch_limit(CPU, 256**2)) == (batch_size, 1)


def test_batches_to_come_are_no_larger_than_what_worked_until_it_has_worked_for_a_while(make_engine):
    network, engine = make_engine(lambda n, provider: n > 2)
    engine.run(np.zeros((8, 1, 1, 1), np.uint8), CUDA, alone=True)
    assert engine.batch_limit(CUDA, 256**2) == 2
    network.fails = lambda n, provider: False
    limits = []
    for _ in range(3 * GROW_AFTER_RUNS):
        engine.run(TILES[:1], CUDA, alone=True)
        limits.append(engine.batch_limit(CUDA, 256**2))
    assert limits[GROW_AFTER_RUNS // 2] == 2
    assert limits[-1] == 8


@pytest.fixture
def failing_client(make_client, monkeypatch):
    from monolayer_service.segmenters.session import Network

    client = make_client()

    def fail(self, tiles, provider=None, *, alone=True):
        raise PredictionError("the card is on fire at 0x7f00")

    monkeypatch.setattr(Network, "run", fail)
    return client


@pytest.mark.fault("a run of the network raises", "K-means answers and says so; fallback=never: 503 with Retry-After")
def test_kmeans_steps_in_and_the_answer_says_so(failing_client, post_png):
    answer = post_png(failing_client, min_area_px=3, tta=True)
    assert answer.status_code == 200
    assert answer.json()["method"] == "kmeans"
    assert answer.json()["model"] is None
    assert answer.json()["fallback"] == {"reason": "the network failed on this image", "ignored_options": ["tta"]}
    assert answer.json()["count"] == 3
    assert 'monolayer_faults_total{next="kmeans"} 1.0' in failing_client.get("/metrics").text


@pytest.mark.fault("a run of the network raises", "K-means answers and says so; fallback=never: 503 with Retry-After")
def test_without_fallback_it_is_a_503_and_nothing_of_the_inside_is_shown(failing_client, post_png):
    answer = post_png(failing_client, fallback="never")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "network_unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    assert "0x7f00" not in answer.text


def opencv_out_of_memory():
    error = cv2.error("OpenCV: alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 5 GiB")
    error.code = cv2.Error.StsNoMem
    return error


@pytest.mark.fault("memory runs out after the network", "503 memory_exhausted with Retry-After")
@pytest.mark.parametrize(
    "error", [MemoryError("cannot allocate 5 GiB"), opencv_out_of_memory()], ids=["numpy", "OpenCV"]
)
def test_exhausted_memory_is_a_503_that_says_when_to_come_back(make_client, post_png, monkeypatch, error):
    def exhaust(*_, **__):
        raise error

    client = make_client()
    monkeypatch.setattr("monolayer_service.segmenters.onnx.interpret", exhaust)
    answer = post_png(client)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "memory_exhausted"
    assert int(answer.headers["retry-after"]) >= 1
    assert "GiB" not in answer.text


def test_an_error_of_opencv_that_is_not_for_lack_of_memory_is_a_bug(make_client, post_png, monkeypatch):
    def fail(*_, **__):
        raise cv2.error("OpenCV: (-215:Assertion failed)")

    client = make_client()
    monkeypatch.setattr("monolayer_service.segmenters.onnx.interpret", fail)
    assert post_png(client).status_code == 500


@pytest.mark.fault(
    "memory runs out in the network and in K-means",
    "503 memory_exhausted with Retry-After; the next request is answered",
)
def test_memory_that_runs_out_in_the_network_and_in_kmeans_is_a_503(make_client, post_png, monkeypatch):
    def exhaust(*_, **__):
        raise MemoryError("cannot allocate 5 GiB")

    client = make_client()
    expected = post_png(client).content
    with monkeypatch.context() as patch:
        patch.setattr("monolayer_service.segmenters.session.Network.open", exhaust)
        patch.setattr("monolayer_service.segmenters.kmeans.segment_kmeans", exhaust)
        answer = post_png(client)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "memory_exhausted")
        assert int(answer.headers["retry-after"]) >= 1
    assert post_png(client).content == expected


def test_a_gpu_that_turns_out_not_to_work_for_a_new_size_is_not_named_in_the_answer(make_engine):
    _, engine = make_engine(lambda n, provider: False, actual=CPU)
    assert devices(engine.run(TILES, CUDA, alone=True)) == [CPU] * 5


@pytest.fixture
def short_of_memory(make_client, monkeypatch):
    """Give a function that starts a service on a pretended GPU whose memory holds so many tiles, and lists its runs."""
    from monolayer_service.segmenters import session

    runs = []

    class Session:
        """A session of the CPU's that says it runs on a GPU."""

        provider = CUDA

        def __init__(self, session, capacity):
            self._session = session
            self._capacity = capacity

        def run(self, tiles):
            runs.append(len(tiles))
            if len(tiles) > self._capacity:
                raise RuntimeError("Failed to allocate memory for requested buffer")
            return self._session.run(tiles)

        def __getattr__(self, name):
            return getattr(self._session, name)

    def start(capacity, **settings):
        create = session.Network._create
        client = make_client(**settings)  # bundles are verified with memory enough
        for bundle in client.app.state.services.registry.bundles.values():
            network = bundle.segmenter.network
            network.wanted = network.provider = CUDA
            network._sessions.clear()

        def pretend(self, key):
            made = create(self, key._replace(provider=CPU))
            return Session(made, capacity) if key.provider == CUDA else made

        monkeypatch.setattr(session.Network, "_create", pretend)
        return client

    start.runs = runs
    return start


@pytest.mark.fault("GPU out of memory", "half the batch, then the CPU; the same answer")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param((2, CUDA, ["half_batch"]), id="two tiles fit"),
        pytest.param((0, CPU, ["half_batch", "cpu"]), id="none fits"),
    ],
)
def test_a_gpu_short_of_memory_answers_all_the_same(make_client, short_of_memory, post_png, case):
    capacity, provider, steps = case
    expected = post_png(make_client(max_tile_side=64)).json()
    client = short_of_memory(capacity, max_tile_side=64, batch_size=4, batch_wait_ms=60_000)
    answer = post_png(client).json()
    assert answer["model"].pop("provider") == provider
    assert expected["model"].pop("provider") == CPU
    assert answer == expected
    metrics = client.get("/metrics").text
    assert [step for step in ("half_batch", "cpu", "kmeans") if f'next="{step}"' in metrics] == steps
    assert max(short_of_memory.runs) == 4


def test_a_folder_with_a_strange_name_is_no_bundle_that_can_be_asked_for(make_client, post_png, tmp_path):
    (tmp_path / "β cells").mkdir()
    answer = post_png(make_client(models=tmp_path), model="β cells")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_model")


def test_a_text_that_is_not_ascii_can_be_put_into_a_header():
    assert header_text("the bundle β cells is not usable") == "the bundle %CE%B2 cells is not usable"


@pytest.mark.fault("bundle: test tensor missing", "/readyz 503 names it, K-means answers and says so")
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
