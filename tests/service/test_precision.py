"""Which file of a bundle answers: float32, eight bits or half precision."""

import numpy as np
import pytest

from monolayer_core.errors import BundleError
from monolayer_core.model_card import read_card, sha256_of_file, write_card
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters import session as sessions
from monolayer_service.segmenters.bundle import choose_precision, open_bundle
from monolayer_service.segmenters.runtime import CPU, CUDA

ONE_THREAD = NetworkThreads(alone=1, shared=1)

INT8, HALF = "model.int8.onnx", "model.fp16.onnx"


@pytest.mark.parametrize(
    ("wanted", "provider", "advised", "expected"),
    [
        ("auto", CPU, True, "int8"),
        ("auto", CPU, False, "float32"),
        ("auto", CPU, None, "float32"),
        ("auto", CUDA, True, "float32"),
        ("float32", CPU, True, "float32"),
        ("int8", CPU, False, "int8"),
        ("int8", CPU, None, "float32"),
        ("int8", CUDA, True, "float32"),
        ("float16", CUDA, True, "float16"),
        ("float16", CPU, True, "float32"),
    ],
)
def test_the_file_follows_the_setting_the_provider_and_the_cards_advice(
    toy_bundle, tmp_path, *, wanted, provider, advised, expected
):
    card = read_card(toy_bundle(tmp_path, int8_default=advised, float16=True))
    assert choose_precision(card, wanted, provider) == expected


def test_half_precision_that_is_not_in_the_bundle_leaves_float32(toy_bundle, tmp_path):
    card = read_card(toy_bundle(tmp_path, int8_default=True))
    assert choose_precision(card, "float16", CUDA) == "float32"


def test_on_a_cpu_int8_is_opened_where_the_card_recommends_it(toy_bundle, tmp_path):
    bundle = toy_bundle(tmp_path, int8_default=True)
    network = open_bundle(bundle, prefer_cuda=False, threads=ONE_THREAD)
    assert (network.precision, network.sha256) == ("int8", sha256_of_file(bundle / INT8))
    asked = open_bundle(bundle, prefer_cuda=False, threads=ONE_THREAD, precision="float32")
    assert (asked.precision, asked.sha256) == ("float32", sha256_of_file(bundle / "model.onnx"))


def test_on_a_gpu_that_turns_out_not_to_work_int8_answers_on_the_cpu(toy_bundle, tmp_path, monkeypatch):
    create = sessions.Network._create
    monkeypatch.setattr(sessions.ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(sessions.Network, "_create", lambda self, key: create(self, key._replace(provider=CPU)))
    network = open_bundle(toy_bundle(tmp_path, int8_default=True), prefer_cuda=True, threads=ONE_THREAD)
    assert (network.precision, network.provider) == ("int8", CPU)


@pytest.mark.parametrize("name", ["test_output.npy", "test_output.int8.npy"])
def test_both_files_are_held_against_their_test_answers(toy_bundle, tmp_path, name):
    bundle = toy_bundle(tmp_path, int8_default=True)
    np.save(bundle / name, np.load(bundle / name) // 2)
    card = read_card(bundle)
    write_card(card.model_copy(update={"files": {file: sha256_of_file(bundle / file) for file in card.files}}), bundle)
    with pytest.raises(BundleError, match="does not reproduce its test tensors"):
        open_bundle(bundle, prefer_cuda=False, threads=ONE_THREAD)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_file_that_is_not_used_is_damaged_all_the_same(toy_bundle, tmp_path, precision):
    bundle = toy_bundle(tmp_path, int8_default=True, float16=True)
    (bundle / INT8).write_bytes(b"not the network")
    with pytest.raises(BundleError, match=r"model\.int8\.onnx is damaged"):
        open_bundle(bundle, prefer_cuda=False, threads=ONE_THREAD, precision=precision)


def test_a_file_whose_digest_the_card_does_not_list_is_refused(toy_bundle, tmp_path):
    bundle = toy_bundle(tmp_path, int8_default=True)
    card = read_card(bundle)
    write_card(card.model_copy(update={"files": {name: d for name, d in card.files.items() if name != INT8}}), bundle)
    with pytest.raises(BundleError, match=r"no digest of model\.int8\.onnx$"):
        open_bundle(bundle, prefer_cuda=False, threads=ONE_THREAD)


def test_the_answer_and_the_list_of_models_name_the_file_that_answered(make_client, post_png, toy_bundle, tmp_path):
    bundle = toy_bundle(tmp_path, int8_default=True)
    for precision, expected, file in (("auto", "int8", INT8), ("float32", "float32", "model.onnx")):
        client = make_client(models=tmp_path, precision=precision)
        digest = sha256_of_file(bundle / file)
        assert post_png(client).json()["model"]["sha256"] == digest
        listed = client.get("/v1/models/nuclei").json()
        assert (listed["precision"], listed["sha256"]) == (expected, digest)
    assert sha256_of_file(bundle / INT8) != sha256_of_file(bundle / "model.onnx")


def test_a_bundle_that_cannot_be_used_has_no_precision(make_client, toy_bundle, tmp_path):
    (toy_bundle(tmp_path) / "test_output.npy").unlink()
    assert make_client(models=tmp_path).get("/v1/models/nuclei").json()["precision"] is None


def test_the_setting_is_read_from_the_environment(monkeypatch):
    from monolayer_service.settings import Settings

    monkeypatch.setenv("MONOLAYER_PRECISION", "int8")
    assert Settings().precision == "int8"
    monkeypatch.setenv("MONOLAYER_PRECISION", "int4")
    with pytest.raises(ValueError, match="precision"):
        Settings()
