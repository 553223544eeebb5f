"""When and from where the libraries of CUDA are loaded."""

import sys

import pytest
import structlog

from monolayer_service.segmenters import onnxruntime_session
from monolayer_service.segmenters.onnxruntime_session import OrtSession, load_cuda
from monolayer_service.segmenters.runtime import CPU, CUDA, SessionKey, TileSize


@pytest.fixture
def fresh_load():
    load_cuda.cache_clear()
    yield
    load_cuda.cache_clear()


@pytest.mark.usefixtures("fresh_load")
def test_the_libraries_of_cuda_are_loaded_once_before_the_first_session_there(toy_bundle, tmp_path, monkeypatch):
    calls = []
    model = (toy_bundle(tmp_path) / "model.onnx").read_bytes()
    monkeypatch.setattr(onnxruntime_session.ort, "preload_dlls", lambda **_: calls.append("load"))
    inference_session = onnxruntime_session.ort.InferenceSession

    def create(model, options, providers, enable_fallback):
        calls.append([provider if isinstance(provider, str) else provider[0] for provider in providers])
        return inference_session(model, options, providers=[CPU])

    monkeypatch.setattr(onnxruntime_session.ort, "InferenceSession", create)
    for provider in (CPU, CUDA, CUDA):
        OrtSession(model, SessionKey(provider, TileSize(64, 64), 1, 1), {})
    assert calls == [[CPU], "load", [CUDA, CPU], [CUDA, CPU]]


@pytest.mark.usefixtures("fresh_load")
def test_libraries_that_are_missing_are_a_line_of_the_log_and_nothing_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(
        onnxruntime_session.ort, "preload_dlls", lambda **_: sys.stdout.write("Failed to load libcudnn.so.9\n")
    )
    with structlog.testing.capture_logs() as events:
        load_cuda()
    assert [event["reason"] for event in events] == ["Failed to load libcudnn.so.9"]
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("fresh_load")
@pytest.mark.parametrize("is_beside", [True, False])
def test_libraries_are_found_elsewhere_on_the_path_where_there_are_none_beside_onnx_runtime(
    tmp_path, monkeypatch, is_beside
):
    elsewhere = tmp_path / "elsewhere" / "nvidia"
    for folder in (elsewhere / "cu13" / "lib", elsewhere / "cudnn" / "lib", tmp_path / "site"):
        folder.mkdir(parents=True)
    if is_beside:
        (tmp_path / "site" / "nvidia").mkdir()
    calls = []
    monkeypatch.setattr(onnxruntime_session.ort, "__file__", str(tmp_path / "site" / "onnxruntime" / "__init__.py"))
    monkeypatch.setattr(onnxruntime_session.ort, "preload_dlls", lambda **given: calls.append(given))
    monkeypatch.setattr(sys, "path", [str(elsewhere.parent)])
    load_cuda()
    assert calls == (
        [{}]
        if is_beside
        else [
            {"directory": str(elsewhere / "cu13" / "lib"), "cudnn": False},
            {"directory": str(elsewhere / "cudnn" / "lib"), "cuda": False},
        ]
    )
