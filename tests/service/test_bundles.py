import json

import numpy as np
import onnx
import pytest

from monolayer_core.errors import BundleError, PredictionError
from monolayer_core.model_card import read_card, sha256_of_file, write_card
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters import session as sessions
from monolayer_service.segmenters.bundle import open_bundle
from monolayer_service.segmenters.runtime import CPU, CUDA, TileSize


def open_on_cpu(folder):
    return open_bundle(folder, prefer_cuda=False, threads=NetworkThreads(1, 1))


def rewrite_card(folder, **changes):
    card = read_card(folder)
    files = {name: sha256_of_file(folder / name) for name in card.files}
    write_card(card.model_copy(update={"files": files} | changes), folder)


def edit_model(folder, edit):
    model = onnx.load(folder / "model.onnx")
    edit(model.graph)
    onnx.save(model, folder / "model.onnx")
    rewrite_card(folder)


@pytest.fixture
def bundle(toy_bundle, tmp_path):
    return toy_bundle(tmp_path)


def test_a_good_bundle_opens_and_predicts_any_allowed_side(bundle):
    network = open_on_cpu(bundle)
    assert network.provider == CPU
    assert network.sha256 == sha256_of_file(bundle / "model.onnx")
    for side in (64, 128):
        tiles = np.full((2, side, side, 1), 255, np.uint8)
        answer = network.run(tiles)
        assert answer.shape == (2, side, side, 3)
        assert answer[0, side // 2, side // 2].tolist() == [255, 0, 255]


def test_on_a_cpu_one_session_takes_tiles_of_any_size(bundle):
    network = open_on_cpu(bundle)
    session = network.open(TileSize(64, 128))
    assert session.inputs == [("image", "uint8", ("n", "height", "width", 1))]
    assert session is network.open(TileSize(96, 64))
    assert network.takes_any_size
    assert network.is_warm(TileSize(1024, 1024))
    assert network.warm_sizes == []


def test_a_network_of_one_size_has_a_session_of_that_size(toy_bundle, tmp_path):
    network = open_on_cpu(toy_bundle(tmp_path, "fixed", dynamic_size=False, tile_sides=(64,)))
    assert network.open(TileSize(64, 64)).inputs == [("image", "uint8", ("n", 64, 64, 1))]
    assert not network.takes_any_size
    assert network.warm_sizes == [TileSize(32, 48), TileSize(64, 64)], "the first is that of the test tensors"
    assert not network.is_warm(TileSize(128, 128))


def test_a_session_is_made_once_for_a_size_on_a_gpu(bundle, gpu_up_to_64_px):
    network = open_bundle(bundle, prefer_cuda=True, threads=NetworkThreads(1, 1))
    assert network.open(TileSize(64, 64)) is network.open(TileSize(64, 64))
    assert network.open(TileSize(64, 64)) is not network.open(TileSize(32, 32))


def test_threads_are_as_many_as_asked_for(bundle):
    network = open_bundle(bundle, prefer_cuda=False, threads=NetworkThreads(alone=3, shared=2))
    alone, shared = (network.open(TileSize(64, 64), alone=alone) for alone in (True, False))
    options = [session._session.get_session_options() for session in (alone, shared)]
    assert [option.intra_op_num_threads for option in options] == [3, 2]


@pytest.mark.parametrize("name", ["model.onnx", "test_input.npy", "test_output.npy"])
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        open_on_cpu(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "test_input.npy", "test_output.npy"])
def test_a_damaged_file_is_named(bundle, name):
    data = bytearray((bundle / name).read_bytes())
    data[-1] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        open_on_cpu(bundle)


def test_a_card_that_lists_no_digest_is_refused(bundle):
    write_card(read_card(bundle).model_copy(update={"files": {}}), bundle)
    with pytest.raises(BundleError, match=r"no digest of model\.onnx, test_input\.npy, test_output\.npy"):
        open_on_cpu(bundle)


def test_a_card_that_is_no_card_is_refused(bundle):
    (bundle / "model_card.json").write_text(json.dumps({"name": "nuclei"}))
    with pytest.raises(BundleError, match="no valid model card"):
        open_on_cpu(bundle)


def test_a_bundle_in_a_folder_of_another_name_is_refused(bundle):
    with pytest.raises(BundleError, match="folder is called 'cells'"):
        open_on_cpu(bundle.rename(bundle.parent / "cells"))


def test_a_network_that_is_no_onnx_is_refused(bundle):
    (bundle / "model.onnx").write_bytes(b"no network")
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded"):
        open_on_cpu(bundle)


def test_an_input_of_another_name_is_refused(bundle):
    def rename(graph):
        graph.input[0].name = graph.node[0].input[0] = "picture"

    edit_model(bundle, rename)
    with pytest.raises(BundleError, match="input must be one uint8 tensor called 'image'"):
        open_on_cpu(bundle)


def test_channels_that_differ_from_the_card_are_refused(bundle):
    rewrite_card(bundle, channels="rgb")
    with pytest.raises(BundleError, match="input has the shape"):
        open_on_cpu(bundle)


def test_outputs_that_differ_from_the_card_are_refused(bundle):
    rewrite_card(bundle, outputs=read_card(bundle).outputs[:2])
    with pytest.raises(BundleError, match="output has the shape"):
        open_on_cpu(bundle)


def test_a_network_that_does_not_reproduce_its_test_answer_is_refused(bundle):
    expected = np.load(bundle / "test_output.npy")
    np.save(bundle / "test_output.npy", expected // 2)
    rewrite_card(bundle)
    with pytest.raises(BundleError, match="does not reproduce its test tensors"):
        open_on_cpu(bundle)


def test_differences_of_rounding_are_allowed(bundle):
    expected = np.load(bundle / "test_output.npy")
    np.save(bundle / "test_output.npy", np.where(expected < 254, expected + 2, expected).astype(np.uint8))
    rewrite_card(bundle)
    open_on_cpu(bundle)


def test_test_tensors_of_another_type_are_refused(bundle):
    np.save(bundle / "test_input.npy", np.zeros((1, 32, 32, 1), np.float32))
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"test_input\.npy is float32"):
        open_on_cpu(bundle)


def test_test_tensors_without_a_tile_prove_nothing(bundle):
    np.save(bundle / "test_input.npy", np.zeros((0, 32, 32, 1), np.uint8))
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"test_input\.npy is uint8 \(0, 32, 32, 1\)"):
        open_on_cpu(bundle)


def test_pickled_test_tensors_are_refused(bundle):
    np.save(bundle / "test_input.npy", np.array([{}]), allow_pickle=True)
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"test_input\.npy cannot be read"):
        open_on_cpu(bundle)


def test_a_failing_run_is_a_prediction_error(bundle):
    with pytest.raises(PredictionError, match="nuclei failed"):
        open_on_cpu(bundle).run(np.zeros((1, 64, 64, 7), np.uint8))


def test_a_provider_that_is_listed_but_does_not_work_is_noticed_after_creation(bundle, monkeypatch):
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(
        sessions.Network,
        "_create",
        lambda self, key, create=sessions.Network._create: create(self, key._replace(provider=CPU)),
    )
    network = open_bundle(bundle, prefer_cuda=True, threads=NetworkThreads(1, 1))
    assert network.provider == CPU


def test_an_empty_test_tensor_is_refused(bundle):
    (bundle / "test_input.npy").write_bytes(b"")
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"test_input\.npy cannot be read"):
        open_on_cpu(bundle)


def test_an_archive_in_place_of_a_test_tensor_is_refused(bundle):
    with (bundle / "test_output.npy").open("wb") as file:
        np.savez(file, np.zeros((1, 32, 32, 1), np.uint8))
    rewrite_card(bundle)
    with pytest.raises(BundleError, match=r"test_output\.npy cannot be read"):
        open_on_cpu(bundle)


class SessionElsewhere:
    """A session of the CPU's that says it runs on a GPU."""

    provider = CUDA

    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)


@pytest.fixture
def gpu_up_to_64_px(monkeypatch):
    """A pretended GPU that takes sessions up to 64 px; gives the list of the sessions that were made."""
    create, made = sessions.Network._create, []

    def pretend(self, key):
        made.append((key.size and key.size.width, key.provider))
        session = create(self, key._replace(provider=CPU))
        return SessionElsewhere(session) if key.provider == CUDA and key.size.width <= 64 else session

    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(sessions.Network, "_create", pretend)
    return made


def test_a_size_that_finds_no_gpu_says_so_is_made_once_and_leaves_the_others_there(bundle, gpu_up_to_64_px):
    network = open_bundle(bundle, prefer_cuda=True, threads=NetworkThreads(1, 1))
    small, large = TileSize(64, 64), TileSize(128, 128)
    assert network.provider == network.provider_of(small) == CUDA
    gpu_up_to_64_px.clear()
    for _ in range(3):
        network.run(np.zeros((1, 128, 128, 1), np.uint8))
        network.open(large, CPU)
    assert gpu_up_to_64_px == [(128, CUDA)]
    assert network.provider == network.provider_of(large) == CPU
    assert network.provider_of(small) == CUDA
    assert {small, large} <= set(network.warm_sizes)


def test_no_session_is_made_on_the_cpu_just_to_trim_it(bundle, gpu_up_to_64_px):
    network = open_bundle(bundle, prefer_cuda=True, threads=NetworkThreads(1, 1))
    gpu_up_to_64_px.clear()
    assert not network.trim()
    assert gpu_up_to_64_px == []
    network.open(TileSize(64, 64), CPU)
    assert network.trim()


def test_a_session_that_was_let_go_is_made_anew(bundle, gpu_up_to_64_px):
    network = open_bundle(bundle, prefer_cuda=True, threads=NetworkThreads(1, 1))
    session = network.open(TileSize(64, 64))
    network.close(TileSize(64, 64))
    assert TileSize(64, 64) not in network.warm_sizes
    assert network.open(TileSize(64, 64)) is not session
