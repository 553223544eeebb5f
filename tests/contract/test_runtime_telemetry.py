"""What ONNX Runtime and OpenVINO would report to their makers, and keep for that in the home folder, they do not."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

SERVICE = """
import sys
from starlette.testclient import TestClient
from monolayer_service.app import create_app
from monolayer_service.settings import Settings

with TestClient(create_app(Settings(models=sys.argv[1], cpu_runtime="{runtime}"))) as client:
    answer = client.post("/v1/segment", content=sys.stdin.buffer.read(), headers={{"Content-Type": "image/png"}})
print(answer.json()["model"]["provider"])
"""

EXPORT = """
import sys
import numpy as np
from pathlib import Path
from monolayer_export.session import onnx_predict

predict = onnx_predict(Path(sys.argv[1], "nuclei", "model.onnx").read_bytes())
print(*predict(np.zeros((1, 64, 64, 1), np.uint8)).shape)
"""

PROGRAMS = [
    pytest.param(SERVICE.format(runtime="onnxruntime"), "CPUExecutionProvider", id="service"),
    pytest.param(
        SERVICE.format(runtime="openvino"),
        "OpenVINO",
        id="service with OpenVINO",
        marks=pytest.mark.skipif(find_spec("openvino") is None, reason="the extra openvino is not installed"),
    ),
    pytest.param(EXPORT, "1 64 64 3", id="export"),
]
"""Scripts that run a network, and what they print."""


@pytest.mark.fault("an empty home folder, and no sign of CI, where the runtimes are silent", "nothing is kept there")
@pytest.mark.parametrize(("program", "printed"), PROGRAMS)
def test_a_network_that_is_run_leaves_nothing_in_the_home_folder(program, printed, toy_bundles, blobs_png, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", program, str(toy_bundles)],
        input=blobs_png,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().splitlines()[-1] == printed
    assert [str(path) for path in tmp_path.rglob("*")] == []


def test_an_operator_who_sets_the_variable_is_not_overruled(tmp_path):
    script = "import os, monolayer_service, monolayer_export; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, found in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **given}
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
        )
        assert run.stdout.strip() == found
