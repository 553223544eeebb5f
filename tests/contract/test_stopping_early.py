"""A program that is told to stop before it serves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

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


COMMANDS = {
    "python -m monolayer_service": [sys.executable, "-m", "monolayer_service"],
    "monolayer-serve": [sys.executable, Path(sys.executable).with_name("monolayer-serve")],
}


@pytest.mark.fault("SIGTERM during the imports", "exit status 0")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_program_that_is_told_to_stop_while_it_imports_ends_with_success(tmp_path, command):
    endless = "print('imports', flush=True)\nwhile True: pass\n"
    (tmp_path / "structlog.py").write_text(endless)  # the first of the libraries that are imported
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "imports\n"
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 0


def test_a_program_that_imports_the_command_keeps_its_own_handler():
    script = "import signal; import monolayer_service.__main__; print(signal.getsignal(signal.SIGTERM).name)"
    program = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert program.stdout == "SIG_DFL\n"


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
