"""Requests made from the description of the interface, sound and broken ones, get the answers it announces."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.campaign import problems_of_log, service

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_every_answer_is_one_that_the_description_announces(toy_bundles, tmp_path):
    with service(tmp_path, {"MONOLAYER_MODELS": str(toy_bundles)}) as (server, log):
        run = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIGURATION, "--no-color", "run",
             f"http://127.0.0.1:{server.port}/openapi.json", "--max-examples", "15", "--seed", "1",
             "--suppress-health-check", "all"],
            cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout
        assert problems_of_log(log.read_text(encoding="utf-8").splitlines()) == []
