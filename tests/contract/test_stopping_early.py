"""A program that is told to stop before it serves."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

TOLD_WHILE_LOADING = """
import os, signal
from monolayer_service import __main__ as program
from monolayer_service import app as applications

load_registry = applications.load_registry

def load_and_be_told(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return load_registry(*arguments)

applications.load_registry = load_and_be_told
program.main()
"""


@pytest.mark.fault("SIGTERM while bundles are loaded", "no drain time, exit status 0")
def test_a_program_that_is_told_to_stop_while_it_loads_waits_for_no_requests(toy_bundles):
    environment = {**os.environ, "MONOLAYER_MODELS": str(toy_bundles), "MONOLAYER_DRAIN_SECONDS": "3600"}
    program = subprocess.run(
        [sys.executable, "-c", TOLD_WHILE_LOADING, "--port", "0"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    events = [json.loads(line)["event"] for line in program.stderr.splitlines()]
    assert "Application shutdown complete." in events
