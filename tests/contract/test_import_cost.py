"""What a program loads when it is imported, seen in a fresh interpreter."""

import subprocess
import sys

import pytest

CASES = {
    "the service loads no training framework": (
        "monolayer_service.app",
        {"tensorflow", "keras", "tf2onnx", "matplotlib", "sklearn", "openvino"},
    ),
    "the image's health check loads nothing that computes or serves": (
        "monolayer_service.probe",
        {"cv2", "fastapi", "numpy", "onnxruntime", "scipy", "starlette", "structlog", "uvicorn"},
    ),
    "the trainer loads no web framework": (
        "monolayer_trainer.__main__",
        {"fastapi", "starlette", "uvicorn", "onnxruntime"},
    ),
    "asking the trainer for help loads no training framework": ("monolayer_trainer.__main__", {"tensorflow", "keras"}),
    "asking the export for help loads no training framework": ("monolayer_export.__main__", {"tensorflow", "keras"}),
    "the client library loads no imaging library and no command line": (
        "monolayer_client",
        {"cv2", "scipy", "sklearn", "tifffile", "imagecodecs", "typer", "rich"},
    ),
    "the command line draws no picture before it is asked to": (
        "monolayer_client.cli.app",
        {"cv2", "scipy", "sklearn", "matplotlib"},
    ),
    "the client's part of core loads no imaging library": (
        "monolayer_core.rle, monolayer_core.metrics, monolayer_core.model_card, monolayer_core.submission",
        {"cv2", "scipy", "sklearn", "tifffile", "imagecodecs"},
    ),
    "reading images does not load scikit-learn": ("monolayer_core.image_io, monolayer_core.kmeans", {"sklearn"}),
}


@pytest.mark.parametrize(("modules", "unwanted"), CASES.values(), ids=CASES.keys())
def test_importing(modules: str, unwanted: set[str]) -> None:
    script = f"import sys, {modules}; print(*sorted({unwanted!r} & set(sys.modules)))"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.split() == []


def test_a_service_that_answers_with_onnxruntime_has_loaded_no_other_runtime(toy_bundles) -> None:
    script = f"""
import sys
from starlette.testclient import TestClient
from monolayer_service.app import create_app
from monolayer_service.settings import Settings

with TestClient(create_app(Settings(models={str(toy_bundles)!r}))) as client:
    assert client.get("/readyz").status_code == 200
sys.exit(42 if "openvino" in sys.modules else 7)
"""

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert result.returncode == 7, result.stderr
