"""What sessions on a GPU are asked for; a pretended GPU computes on the CPU."""

import contextlib

import numpy as np
import pytest
import structlog

from monolayer_core.errors import PredictionError
from monolayer_service.compute import ComputePlan, NetworkThreads
from monolayer_service.errors import NotReadyError
from monolayer_service.registry import load_registry
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters import onnxruntime_session
from monolayer_service.segmenters import session as sessions
from monolayer_service.segmenters.bundle import open_bundle
from monolayer_service.segmenters.faults import FaultTolerantEngine
from monolayer_service.segmenters.onnxruntime_session import OrtSession
from monolayer_service.segmenters.runtime import CPU, CUDA, SessionKey, TileSize
from monolayer_service.settings import Settings
from monolayer_service.telemetry.metrics import Metrics

ONE_THREAD = NetworkThreads(alone=1, shared=1)


class PretendedCuda:
    """A session on the CPU that says it is on CUDA, and writes down what it is asked to run."""

    provider = CUDA

    def __init__(self, session, key, largest_batch):
        self._session, self._key, self._largest_batch = session, key, largest_batch
        self.runs = []

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run(self, tiles):
        if len(tiles) > self._largest_batch:
            raise RuntimeError("out of memory")
        self.runs.append(len(tiles))
        return self._session.run(tiles)


class PretendedGpu:
    def __init__(self):
        self.largest_batch = 1000
        self.made = []

    @property
    def shapes(self):
        """Tile side and tiles in a run of every session on it, in the order in which they were made."""
        return [(session._key.size.width, session._key.batch) for session in self.made]


@pytest.fixture
def gpu(monkeypatch):
    create, gpu = sessions.Network._create, PretendedGpu()

    def pretend(self, key):
        session = create(self, key._replace(provider=CPU))
        if key.provider == CPU:
            return session
        gpu.made.append(PretendedCuda(session, key, gpu.largest_batch))
        return gpu.made[-1]

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(sessions.Network, "_create", pretend)
    return gpu


def load(folder, **settings):
    return load_registry(
        Settings(models=folder, **settings),
        ComputePlan(ONE_THREAD, 1, 2, 1),
        TileScheduler(Metrics(), patience_seconds=0.0),
        Metrics(),
    )


def test_every_size_of_batch_has_a_session_that_sees_no_other_shape(toy_bundle, tmp_path, gpu):
    network = open_bundle(toy_bundle(tmp_path), prefer_cuda=True, threads=ONE_THREAD)
    gpu.made.clear()
    tiles = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 1), np.uint8)
    alone = np.concatenate([network.run(tile[np.newaxis]) for tile in tiles])
    for batch in (1, 8, 2, 8, 1, 2):
        np.testing.assert_array_equal(network.run(tiles[:batch]), alone[:batch])
    assert gpu.shapes == [(64, 1), (64, 8), (64, 2)]
    assert [set(session.runs) for session in gpu.made] == [{1}, {8}, {2}]


def test_on_a_cpu_one_session_takes_every_size_of_batch(toy_bundle, tmp_path):
    network = open_bundle(toy_bundle(tmp_path), prefer_cuda=False, threads=ONE_THREAD)
    assert network.open(TileSize(64, 64), batch=1) is network.open(TileSize(64, 64), batch=8)


def test_a_start_runs_every_side_once_whatever_the_process_holds(toy_bundle, tmp_path, gpu):
    toy_bundle(tmp_path, tile_sides=(64, 256, 512, 1024, 2048))
    load(tmp_path, idle_memory_mib=1)
    verified, *warmed = gpu.shapes
    assert verified == (48, 1)
    assert warmed == [(64, 1), (256, 1), (512, 1), (1024, 1)]
    assert all(session.runs for session in gpu.made)


def test_a_session_for_the_test_tensors_alone_is_not_kept_on_a_gpu(toy_bundle, tmp_path, gpu):
    toy_bundle(tmp_path, tile_sides=(64, 128))
    network = load(tmp_path).require("nuclei").segmenter.network
    assert gpu.shapes[0] == (48, 1)
    assert network.warm_sizes == [TileSize(64, 64), TileSize(128, 128)]


def test_a_start_runs_every_size_of_batch_that_is_asked_for(toy_bundle, tmp_path, gpu):
    toy_bundle(tmp_path, tile_sides=(256, 512, 1024))
    load(tmp_path, batch_size=8)
    squares = [shape for shape in gpu.shapes if shape[0] >= 256]
    assert squares == [(256, 1), (256, 2), (256, 4), (256, 8), (512, 1), (512, 2), (512, 4), (1024, 1)]
    assert all(session.runs for session in gpu.made)


def test_a_batch_that_is_no_power_of_two_is_asked_for_as_it_is(toy_bundle, tmp_path, gpu):
    toy_bundle(tmp_path, tile_sides=(64, 512))
    load(tmp_path, batch_size=3)
    assert gpu.shapes[1:] == [(64, 1), (64, 2), (64, 3), (512, 1), (512, 2), (512, 3)]


def test_a_bundle_is_verified_in_the_runs_that_it_is_to_make(toy_bundle, tmp_path, gpu):
    folder = toy_bundle(tmp_path)
    tiles = np.load(folder / "test_input.npy")
    assert len(tiles) > 1
    open_bundle(folder, prefer_cuda=True, threads=ONE_THREAD)
    assert [session.runs for session in gpu.made] == [[1] * len(tiles)]


def test_a_batch_that_is_too_large_for_the_start_leaves_the_smaller_ones_warm(toy_bundle, tmp_path, gpu):
    toy_bundle(tmp_path, tile_sides=(256,))
    gpu.largest_batch = 2
    registry = load(tmp_path, batch_size=8)
    registry.check_ready()
    network = registry.require("nuclei").segmenter.network
    assert network.provider == CUDA
    gpu.made.clear()
    network.run(np.zeros((2, 256, 256, 1), np.uint8))
    assert gpu.made == []
    with pytest.raises(PredictionError, match="out of memory"):
        network.run(np.zeros((4, 256, 256, 1), np.uint8))
    assert gpu.shapes == [(256, 4)]  # the one that failed at the start was let go


@pytest.mark.parametrize(("device", "is_ready"), [("auto", True), ("cuda", False)])
def test_a_gpu_without_memory_at_the_start_leaves_the_work_to_the_cpu_until_it_is_loaded_anew(
    toy_bundle, tmp_path, gpu, device, is_ready
):
    toy_bundle(tmp_path)
    gpu.largest_batch = 0
    displaced = load(tmp_path, device=device)
    network = displaced.require("nuclei").segmenter.network
    assert network.provider == CPU
    np.testing.assert_array_equal(network.run(np.zeros((1, 64, 64, 1), np.uint8)), 0)
    with contextlib.nullcontext() if is_ready else pytest.raises(NotReadyError, match="cuda was asked for"):
        displaced.check_ready()
    gpu.largest_batch = 8
    again = load_registry(
        Settings(models=tmp_path, device=device),
        ComputePlan(ONE_THREAD, 1, 2, 1),
        TileScheduler(Metrics(), patience_seconds=0.0),
        Metrics(),
        displaced,
    )
    again.check_ready()
    assert again.require("nuclei").segmenter.network.provider == CUDA


def test_a_batch_is_no_larger_than_a_megapixel_unless_it_is_one_tile(toy_bundle, tmp_path, gpu):
    network = open_bundle(toy_bundle(tmp_path), prefer_cuda=True, threads=ONE_THREAD)
    engine = FaultTolerantEngine(network, Metrics(), batch_size=8)
    assert [engine.batch_limit(CUDA, side * side) for side in (64, 256, 512, 1024, 2048)] == [8, 8, 4, 1, 1]
    assert [engine.batch_limit(CPU, side * side) for side in (64, 1024)] == [1, 1]


@pytest.mark.parametrize(
    ("precision", "tf32", "expected"), [("float32", False, "0"), ("float32", True, "1"), ("float16", False, "1")]
)
def test_tensor_cores_multiply_where_factors_are_short_already_or_may_be_rounded(
    toy_bundle, tmp_path, monkeypatch, *, precision, tf32, expected
):
    asked = []

    class Recording(OrtSession):
        provider = CUDA

        def __init__(self, model, key, cuda):
            asked.append(cuda)
            super().__init__(model, key._replace(provider=CPU), cuda)

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(sessions, "OrtSession", Recording)
    open_bundle(
        toy_bundle(tmp_path, float16=True), prefer_cuda=True, threads=ONE_THREAD, precision=precision, tf32=tf32
    )
    assert asked[-1]["use_tf32"] == expected
    assert {options["cudnn_conv_algo_search"] for options in asked} == {"HEURISTIC"}
    assert {options["arena_extend_strategy"] for options in asked} == {"kSameAsRequested"}


@pytest.fixture
def memory_limits(monkeypatch):
    """Limits in bytes that sessions on a pretended GPU are given: tile side, tiles in a run, and the limit or None."""
    limits = []

    class Recording(OrtSession):
        provider = CUDA

        def __init__(self, model, key, cuda):
            if key.size.width == key.size.height:
                limits.append((key.size.width, key.batch, cuda.get("gpu_mem_limit")))
            super().__init__(model, key._replace(provider=CPU), cuda)

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(sessions, "OrtSession", Recording)
    return limits


def test_the_memory_of_a_gpu_is_not_bounded_unless_it_is_set(toy_bundle, tmp_path, memory_limits):
    toy_bundle(tmp_path, tile_sides=(64, 128))
    load(tmp_path)
    assert memory_limits == [(64, 1, None), (128, 1, None)]


def test_the_memory_of_a_gpu_is_divided_by_bundles_and_by_the_pixels_of_runs(toy_bundle, tmp_path, memory_limits):
    for name in ("nuclei", "cells"):
        toy_bundle(tmp_path, name, tile_sides=(64, 128, 256, 512))
    load(tmp_path, gpu_memory_mib=42, max_tile_side=256)
    one_each = [(64, 1, str(1 << 20)), (128, 1, str(4 << 20)), (256, 1, str(16 << 20))]
    assert sorted(memory_limits) == sorted(2 * one_each)
    assert sum(int(limit) for _, _, limit in memory_limits) == 42 << 20


def test_batches_have_their_part_of_the_memory_too(toy_bundle, tmp_path, memory_limits):
    toy_bundle(tmp_path, tile_sides=(64, 128))
    load(tmp_path, gpu_memory_mib=15, batch_size=2)
    mib = [(side, batch, int(limit) / (1 << 20)) for side, batch, limit in memory_limits]
    assert mib == [(64, 1, 1), (64, 2, 2), (128, 1, 4), (128, 2, 8)]


def test_without_a_bundle_there_is_no_memory_to_divide(tmp_path):
    load(tmp_path, gpu_memory_mib=42).check_ready()


def test_a_tile_that_does_not_fit_its_share_of_the_gpu_is_left_to_the_cpu(toy_bundle, tmp_path, monkeypatch):
    toy_bundle(tmp_path, tile_sides=(64, 128))
    inference_session = onnxruntime_session.ort.InferenceSession

    class Limited:
        """What ONNX Runtime does: a run that needs more than the session's limit fails."""

        def __init__(self, model, options, *, providers, enable_fallback):
            self._limit = None if providers == [CPU] else int(providers[0][1]["gpu_mem_limit"])
            self._session = inference_session(model, options, providers=[CPU])

        def get_providers(self):
            return [CPU] if self._limit is None else [CUDA, CPU]

        def run(self, names, feed, options=None):
            if self._limit is not None and next(iter(feed.values())).size > self._limit // (3 << 10):
                raise RuntimeError("Failed to allocate memory for requested buffer")
            return self._session.run(names, feed, options)

        def __getattr__(self, name):
            return getattr(self._session, name)

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", Limited)
    for gpu_memory_mib, device in ((60, CUDA), (59, CPU)):
        network = load(tmp_path, gpu_memory_mib=gpu_memory_mib).require("nuclei").segmenter.network
        engine = FaultTolerantEngine(network, Metrics(), batch_size=1)
        outcomes = [engine.run(np.zeros((1, side, side, 1), np.uint8), CUDA, alone=True)[0] for side in (64, 128)]
        assert [outcome.device for outcome in outcomes] == [device, device]
        np.testing.assert_array_equal(outcomes[1].answer, 0)


def test_runs_of_a_session_on_a_gpu_take_turns_and_those_on_a_cpu_do_not(toy_bundle, tmp_path, monkeypatch):
    model = (toy_bundle(tmp_path) / "model.onnx").read_bytes()
    inference_session = onnxruntime_session.ort.InferenceSession
    found = []

    class Looking:
        def __init__(self, model, options, *, providers, enable_fallback):
            self.asked, self._session = providers, inference_session(model, options, providers=[CPU])

        def run(self, *given):
            found.append(getattr(session._turn, "locked", lambda: False)())
            return self._session.run(*given)

    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", Looking)
    for provider in (CUDA, CPU):
        session = OrtSession(model, SessionKey(provider, TileSize(64, 64), 1, 1), {})
        session.run(np.zeros((1, 64, 64, 1), np.uint8))
        session.run(np.zeros((1, 64, 64, 1), np.uint8))
    assert found == [True, True, False, False]


@pytest.fixture
def gpu_out_of_order(monkeypatch):
    """A GPU that is there, and fails while sessions are made on it as long as the list that is given is not empty."""
    inference_session, errors = onnxruntime_session.ort.InferenceSession, ["CUDA failure 2: out of memory"]

    def create(model, options=None, *, providers, **given):
        if providers == [CPU]:
            return inference_session(model, options, providers=providers, **given)
        assert given == {"enable_fallback": 0}
        if errors:
            raise RuntimeError(errors[0])
        return inference_session(model, options, providers=[CPU], **given)

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", create)
    monkeypatch.setattr(OrtSession, "provider", property(lambda self: CUDA if self.on_gpu else CPU))
    init = OrtSession.__init__

    def remember(self, model, key, cuda):
        self.on_gpu = key.provider == CUDA
        init(self, model, key, cuda)

    monkeypatch.setattr(OrtSession, "__init__", remember)
    return errors


def test_a_gpu_on_which_no_session_can_be_made_leaves_the_work_to_the_cpu_and_the_log_says_why(
    toy_bundle, tmp_path, gpu_out_of_order
):
    toy_bundle(tmp_path)
    with structlog.testing.capture_logs() as events:
        registry = load(tmp_path)
    registry.check_ready()
    assert registry.require("nuclei").segmenter.network.provider == CPU
    reasons = [event["reason"] for event in events if event["event"] == "bundle opened on the CPU"]
    assert reasons == ["model.onnx cannot be loaded on a GPU: CUDA failure 2: out of memory"]


def test_a_session_for_which_there_is_no_room_later_costs_that_request_speed_and_no_other(
    toy_bundle, tmp_path, gpu_out_of_order
):
    gpu_out_of_order.clear()
    network = open_bundle(toy_bundle(tmp_path), prefer_cuda=True, threads=ONE_THREAD)
    engine = FaultTolerantEngine(network, Metrics(), batch_size=1)
    tiles = np.zeros((1, 128, 128, 1), np.uint8)
    gpu_out_of_order.append("CUDA failure 2: out of memory")
    assert [outcome.device for outcome in engine.run(tiles, CUDA, alone=True)] == [CPU]
    assert network.provider == CUDA
    gpu_out_of_order.clear()
    assert [outcome.device for outcome in engine.run(tiles, CUDA, alone=True)] == [CUDA]


def test_tf32_is_off_unless_it_is_set(monkeypatch):
    assert Settings().tf32 is False
    monkeypatch.setenv("MONOLAYER_TF32", "true")
    assert Settings().tf32 is True
