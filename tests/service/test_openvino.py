"""OpenVINO in ONNX Runtime's place on a CPU: the same answers, and nothing of it where it is not asked for."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.errors import BundleError, PredictionError
from monolayer_core.image_io import decode_image
from monolayer_core.model_card import read_card, sha256_of_file, write_card
from monolayer_core.pipeline import interpret, prepare
from monolayer_service.cancellation import Cancellation
from monolayer_service.compute import NetworkThreads
from monolayer_service.registry import Registry
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.bundle import choose_precision, open_bundle, tolerance_of
from monolayer_service.segmenters.faults import FaultTolerantEngine
from monolayer_service.segmenters.runtime import CPU, CUDA, OPENVINO, TileSize
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import SHIPPED_BUNDLES
from monolayer_service.telemetry.metrics import Metrics

openvino = pytest.importorskip("openvino", reason="the extra openvino of the service is not installed")

TWO_CORES = NetworkThreads(alone=2, shared=1)
EXAMPLES = SHIPPED_BUNDLES.parents[2] / "examples"


def open_with_openvino(folder, threads=TWO_CORES, **options):
    return open_bundle(folder, prefer_cuda=False, threads=threads, cpu_runtime="openvino", **options)


def rewrite_card(folder, **changes):
    card = read_card(folder)
    files = {name: sha256_of_file(folder / name) for name in card.files}
    write_card(card.model_copy(update={"files": files} | changes), folder)


@pytest.fixture(scope="module")
def toy(toy_bundle, tmp_path_factory):
    return open_with_openvino(toy_bundle(tmp_path_factory.mktemp("bundles")))


@pytest.fixture
def bundle(toy_bundle, tmp_path):
    return toy_bundle(tmp_path)


@pytest.mark.parametrize("model", ["nuclei", "cells", "blood"])
@pytest.mark.parametrize(
    ("precision", "within_one", "within_tolerance"), [("float32", 1.0, 1.0), ("int8", 0.975, 0.9995)]
)
def test_a_shipped_network_gives_the_stored_probabilities(model, precision, within_one, within_tolerance):
    network = open_with_openvino(SHIPPED_BUNDLES / model, precision=precision)
    assert (network.provider, network.precision) == (OPENVINO, precision)
    tiles = np.load(SHIPPED_BUNDLES / model / "test_input.npy")
    expected = np.load(SHIPPED_BUNDLES / model / network.card.files_of(precision)[1])
    distance = np.abs(network.run(tiles).astype(np.int16) - expected)
    assert (distance <= 1).mean() >= within_one
    assert (distance <= tolerance_of(precision, OPENVINO)).mean() >= within_tolerance


@pytest.fixture(scope="module")
def nuclei():
    """The shipped network by runtime and precision."""
    return {
        (runtime, precision): open_bundle(
            SHIPPED_BUNDLES / "nuclei",
            prefer_cuda=False,
            threads=TWO_CORES,
            precision=precision,
            cpu_runtime=runtime,
        )
        for runtime in ("onnxruntime", "openvino")
        for precision in ("float32", "int8")
    }


@pytest.mark.parametrize("image", ["large", "tissue", "touching", "dense"])
def test_a_real_image_has_the_same_objects(nuclei, image):
    card = nuclei["openvino", "int8"].card
    seen = prepare(decode_image((EXAMPLES / f"fluorescence_{image}.png").read_bytes()).pixels, card)[:256, :256]
    answers = {key: network.run(seen[np.newaxis])[0] for key, network in nuclei.items()}
    found = {key: interpret(answer, card, image=seen) for key, answer in answers.items()}

    def far_share(first, second):
        return (np.abs(answers[first].astype(np.int16) - answers[second]) > 1).mean()

    assert len({len(segmentation.class_ids) for segmentation in found.values()}) == 1
    assert far_share(("openvino", "float32"), ("onnxruntime", "float32")) < 1e-5
    # In eight bits the two differ by a rounding here and there, far less than either does from float32.
    apart, lost, lost_before = (
        far_share(("openvino", "int8"), ("onnxruntime", "int8")),
        far_share(("openvino", "int8"), ("openvino", "float32")),
        far_share(("onnxruntime", "int8"), ("onnxruntime", "float32")),
    )
    assert apart < 0.02
    assert apart < lost / 3
    assert lost == pytest.approx(lost_before, rel=0.02)
    percent = {key: segmentation.confluency_percent for key, segmentation in found.items()}
    assert percent["openvino", "int8"] == pytest.approx(percent["onnxruntime", "int8"], abs=0.03)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_answer_is_the_same_to_the_byte_whoever_computes_it(precision):
    plan = [NetworkThreads(1, 1), NetworkThreads(2, 1), NetworkThreads(2, 2), NetworkThreads(4, 2)]
    tiles = np.load(SHIPPED_BUNDLES / "nuclei" / "test_input.npy")[:, :128, :128]
    answers = []
    for threads in plan:
        network = open_with_openvino(SHIPPED_BUNDLES / "nuclei", threads, precision=precision)
        answers += [network.run(tiles, alone=alone) for alone in (True, False, True)]
        answers.append(np.concatenate([network.run(tile[np.newaxis]) for tile in tiles]))
    assert len({answer.tobytes() for answer in answers}) == 1


@given(st.integers(1, 3), st.sampled_from([(64, 64), (64, 128), (32, 48)]), st.integers(0, 2**32 - 1))
def test_any_batch_has_onnxruntimes_answer(toy, toy_plain, count, size, seed):
    tiles = np.random.default_rng(seed).integers(0, 256, (count, *size, 1), np.uint8)
    distance = np.abs(toy.run(tiles).astype(np.int16) - toy_plain.run(tiles))
    assert distance.max() <= 1


@pytest.fixture(scope="module")
def toy_plain(toy_bundle, tmp_path_factory):
    return open_bundle(toy_bundle(tmp_path_factory.mktemp("plain")), prefer_cuda=False, threads=TWO_CORES)


def test_pixels_need_not_lie_in_one_piece(toy):
    whole = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 1), np.uint8)
    cut = whole[:, ::2, 1::2]
    np.testing.assert_array_equal(toy.run(cut), toy.run(cut.copy()))


def test_an_answer_is_not_written_over_by_the_next(toy):
    bright = toy.run(np.full((1, 64, 64, 1), 255, np.uint8))
    before = bright.copy()
    toy.run(np.zeros((1, 64, 64, 1), np.uint8))
    np.testing.assert_array_equal(bright, before)


def test_more_threads_than_runs_share_a_session(toy):
    tiles = np.random.default_rng(1).integers(0, 256, (12, 1, 64, 64, 1), np.uint8)
    expected = [toy.run(tile) for tile in tiles]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda tile: toy.run(tile, alone=False), tiles))
    np.testing.assert_array_equal(answers, expected)


def test_a_session_has_a_stream_for_each_run_and_all_cores_together(bundle):
    network = open_with_openvino(bundle, NetworkThreads(alone=2, shared=1))
    compiled = [network.open(TileSize(64, 64), alone=alone)._compiled for alone in (True, False)]
    assert [model.get_property("NUM_STREAMS") for model in compiled] == [1, 2]
    assert [model.get_property("INFERENCE_NUM_THREADS") for model in compiled] == [2, 2]
    assert {model.get_property("INFERENCE_PRECISION_HINT") for model in compiled} == {openvino.Type.f32}
    assert {model.get_property("ENABLE_CPU_PINNING") for model in compiled} == {False}


def test_memory_is_given_back_by_each_network_and_it_answers_as_before(toy, toy_plain, monkeypatch):
    tiles = np.random.default_rng(2).integers(0, 256, (1, 64, 64, 1), np.uint8)
    before = toy.run(tiles), toy.run(tiles, alone=False)
    trimmed = []
    for session in toy._sessions.values():
        compiled = session._compiled
        monkeypatch.setattr(session, "_compiled", None)
        monkeypatch.setattr(session, "_compiled", Counting(compiled, trimmed))
    assert not toy.trim()
    assert len(trimmed) == len(toy._sessions) >= 2
    np.testing.assert_array_equal(toy.run(tiles), before[0])
    np.testing.assert_array_equal(toy.run(tiles, alone=False), before[1])


class Counting:
    """A compiled model that notes when its memory is given back."""

    def __init__(self, compiled, notes):
        self._compiled = compiled
        self._notes = notes

    def release_memory(self):
        self._compiled.release_memory()
        self._notes.append(self._compiled)


def test_all_networks_of_a_registry_are_trimmed(toy_bundles, make_client):
    registry: Registry = make_client(cpu_runtime="openvino").app.state.services.registry
    notes = []
    for bundle in registry.bundles.values():
        for session in bundle.segmenter.network._sessions.values():
            session._compiled = Counting(session._compiled, notes)
    registry.trim()
    assert len(notes) == sum(len(bundle.segmenter.network._sessions) for bundle in registry.bundles.values())


def test_a_batch_that_fails_is_halved_and_then_an_error(bundle):
    engine = FaultTolerantEngine(open_with_openvino(bundle), Metrics(), batch_size=1)
    outcomes = engine.run(np.zeros((2, 64, 64, 7), np.uint8), OPENVINO, alone=True)
    assert [type(outcome.answer) for outcome in outcomes] == [PredictionError] * 2
    assert {outcome.device for outcome in outcomes} == {OPENVINO}
    good = engine.run(np.zeros((2, 64, 64, 1), np.uint8), OPENVINO, alone=True)
    assert [outcome.answer.shape for outcome in good] == [(1, 64, 64, 3)] * 2
    assert engine.batch_limit(OPENVINO, 64**2) == 1


def test_a_gpu_that_does_not_work_leaves_the_work_to_openvino(bundle, monkeypatch):
    from monolayer_service.segmenters import session as sessions

    create = Network._create
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    fallen_back = lambda self, key: create(self, key._replace(provider=CPU) if key.provider == CUDA else key)  # noqa: E731
    monkeypatch.setattr(Network, "_create", fallen_back)
    network = open_bundle(bundle, prefer_cuda=True, threads=TWO_CORES, cpu_runtime="openvino")
    assert network.provider == network.provider_of(TileSize(64, 64)) == OPENVINO
    assert network.run(np.zeros((1, 64, 64, 1), np.uint8)).shape == (1, 64, 64, 3)


@pytest.mark.parametrize(("wanted", "expected"), [("auto", "int8"), ("float32", "float32"), ("float16", "float32")])
def test_the_file_is_chosen_as_on_any_cpu(toy_bundle, tmp_path, wanted, expected):
    card = read_card(toy_bundle(tmp_path, int8_default=True, float16=True))
    assert choose_precision(card, wanted, OPENVINO) == expected


def test_only_eight_bits_are_held_to_a_wider_tolerance():
    assert (tolerance_of("int8", CPU), tolerance_of("int8", OPENVINO)) == (2, 8)
    assert tolerance_of("float32", CPU) == tolerance_of("float32", OPENVINO) == 2


def test_a_network_that_does_not_reproduce_its_test_answer_is_refused(bundle):
    expected = np.load(bundle / "test_output.npy")
    np.save(bundle / "test_output.npy", expected // 2)
    rewrite_card(bundle)
    with pytest.raises(BundleError, match="does not reproduce its test tensors"):
        open_with_openvino(bundle)


def test_a_file_that_is_no_network_is_refused(bundle):
    (bundle / "model.onnx").write_bytes(b"not a network")
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded"):
        open_with_openvino(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"channels": "rgb"}, "input has the shape"), ({"outputs": 2}, "output has the shape")],
)
def test_a_graph_that_is_not_what_the_card_says_is_refused(bundle, changes, message):
    card = read_card(bundle)
    changes = {"outputs": card.outputs[: changes["outputs"]]} if "outputs" in changes else changes
    rewrite_card(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        open_with_openvino(bundle)


def test_an_input_of_another_name_is_refused(bundle):
    import onnx

    model = onnx.load(bundle / "model.onnx")
    model.graph.input[0].name = model.graph.node[0].input[0] = "picture"
    onnx.save(model, bundle / "model.onnx")
    rewrite_card(bundle)
    with pytest.raises(BundleError, match="input must be one uint8 tensor called 'image', found picture: uint8"):
        open_with_openvino(bundle)


def test_the_scheduler_runs_it_alone_and_shared_with_one_answer(toy, monkeypatch):
    tiles = np.random.default_rng(3).integers(0, 256, (4, 1, 64, 64, 1), np.uint8)
    expected = [toy.run(tile) for tile in tiles]
    kinds, run = [], toy.run

    def note(tiles, provider=None, *, alone=True):
        kinds.append(alone)
        return run(tiles, provider, alone=alone)

    monkeypatch.setattr(toy, "run", note)
    scheduler = TileScheduler(Metrics(), patience_seconds=0.0)
    engine = FaultTolerantEngine(toy, Metrics(), batch_size=1)
    with scheduler.open(engine, toy.wanted, tiles.size, Cancellation(), lambda _: None) as stream:
        queued = [scheduler.submit(stream._job, tile) for tile in tiles[:3]]
        scheduler.start(2, one_takes_all=True)
        answers = [tile.answer.result(60) for tile in queued]
        answers.append(scheduler.submit(stream._job, tiles[3]).answer.result(60))
    scheduler.close()
    np.testing.assert_array_equal(answers, expected)
    assert (kinds[0], kinds[-1]) == (False, True)


@pytest.mark.parametrize("network_runs", [1, 2])
def test_the_service_answers_with_it_and_says_so(make_client, post_png, network_runs):
    expected = post_png(make_client(max_tile_side=64)).json()
    client = make_client(cpu_runtime="openvino", max_tile_side=64, threads=2, network_runs=network_runs)
    assert client.get("/readyz").status_code == 200
    listed = client.get("/v1/models").json()["models"]
    assert {model["provider"] for model in listed} == {OPENVINO}
    assert "openvino" in client.get("/version").json()["libraries"]
    with ThreadPoolExecutor(4) as pool:  # several tiles of several requests: alone and shared runs
        answers = [answer.json() for answer in pool.map(lambda _: post_png(client), range(8))]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["model"].pop("provider") == OPENVINO
    assert expected["model"].pop("provider") == CPU
    assert answers[0]["count"] == expected["count"] == 3
    assert answers[0]["confluency"]["percent"] == pytest.approx(expected["confluency"]["percent"], abs=0.1)


def test_a_run_that_fails_leaves_the_answer_to_kmeans(make_client, post_png, monkeypatch):
    from monolayer_service.segmenters import openvino_session

    client = make_client(cpu_runtime="openvino")

    def exhaust(request, tile):
        raise MemoryError("bad allocation")

    monkeypatch.setattr(openvino_session, "_infer", exhaust)
    answer = post_png(client).json()
    assert (answer["method"], answer["fallback"]["reason"]) == ("kmeans", "the network failed on this image")
