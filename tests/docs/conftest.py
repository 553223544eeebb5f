"""The guide's code blocks, and a reader who types what stands there."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from benchmarks.server import running_service

from monolayer_core.image_io import decode_image

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": ROOT / "README.md",
    **{page.relative_to(ROOT / "docs").as_posix(): page for page in sorted((ROOT / "docs").rglob("*.md"))},
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = {"sh", "python", "json"}

PROGRAMS = {
    "monolayer": "monolayer_client",
    "monolayer-train": "monolayer_trainer",
    "monolayer-export": "monolayer_export",
    "monolayer-serve": "monolayer_service",
}
PATIENCE_SECONDS = 300
ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Code:
    """A command of a block for the shell, or a whole block in another language."""

    page: str
    language: str
    text: str

    def __str__(self):
        return f"{self.page}: {self.text.splitlines()[0]}"


def code_of(page):
    """All code of a page, in its order."""
    found = []
    for language, text in BLOCK.findall(PAGES[page].read_text(encoding="utf-8")):
        if language == "sh":
            joined = re.sub(r"\s*\\\n\s*", " ", text)
            lines = [re.sub(r"\s+#\s.*", "", line).strip() for line in joined.splitlines()]
            found += [Code(page, language, line) for line in lines if line]
        elif language in CODE:
            found.append(Code(page, language, text))
    return found


class Reader:
    """Types commands in a folder; the programs are those of this environment, the service one on a free port."""

    def __init__(self, folder, programs, url):
        self.folder = folder
        self._url = url
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "MONOLAYER_URL": url,
            "PYTHONUNBUFFERED": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }

    def type(self, code, more="", *, until=None):
        """Run code with `more` options; what it printed. It must succeed.

        A program that goes on for ever is asked to end (SIGTERM) as soon as a line of its output matches `until`.
        """
        text = code.text + more
        for shown, here in ((ADDRESS, self._url), (" /mnt/", " mnt/")):
            text = text.replace(shown, here)
        if code.language == "python":
            command = [sys.executable, "-c", text]
        else:
            # `exec`, so that a signal reaches the program and not the shell.
            command = [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                text if until is None else re.sub(r"(?=monolayer)", "exec ", text, count=1),
            ]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = ""
        patience = threading.Timer(PATIENCE_SECONDS, process.kill)  # no program outlives a test that waits in vain
        patience.start()
        with process:
            for line in process.stdout:
                printed += line
                if until is not None and re.search(until, line):
                    process.send_signal(signal.SIGTERM)
        patience.cancel()
        assert process.returncode == 0, f"{code}\n{printed}"
        return printed


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder for the PATH with the commands of the packages as they are here, installed or not."""
    folder = tmp_path_factory.mktemp("programs")
    for name, module in PROGRAMS.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def service_url():
    with running_service(start_seconds=120) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def reader(tmp_path, programs, service_url):
    """A reader in a folder with the examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return Reader(tmp_path, programs, service_url)


@pytest.fixture(scope="session")
def picture():
    """A part of an example, `(128, 128, 3)`: real nuclei, and quickly answered."""
    return np.ascontiguousarray(
        decode_image((ROOT / "examples" / "fluorescence_large.png").read_bytes()).pixels[:128, :128]
    )
