"""One virtual environment a peer, with its pinned packages from PyPI, by uv.

Beside them lie core with its imaging libraries and the service's module that makes sessions, both from this checkout;
what does the work on all sides is of the version that the benchmark itself runs on. An environment is made anew when
any of this changes.
"""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.places import ROOT

FOLDER = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
SHARED_PACKAGES = ("onnxruntime", "numpy", "opencv-python-headless", "orjson", "pydantic-settings", "structlog")
"""The last two only for the service's module: it knows the settings, and it logs."""


@dataclass(frozen=True)
class Pin:
    """The first line of a file of requirements: what is compared, its licence and the month of its release."""

    package: str
    version: str
    licence: str
    released: str


def read_pin(text: str) -> Pin:
    """Read ``package==version  # licence, month``.

    Raises
    ------
    ValueError
        The first line has another form.

    Examples
    --------
    >>> read_pin("litserve==0.2.19  # Apache-2.0, 2026-09")
    Pin(package='litserve', version='0.2.19', licence='Apache-2.0', released='2026-09')
    """
    requirement, _, comment = text.partition("\n")[0].partition("#")
    package, _, number = requirement.strip().partition("==")
    licence, _, released = (part.strip() for part in comment.partition(","))
    if not (number and licence and released):
        raise ValueError(f"{text!r} is not package==version  # licence, month")
    return Pin(package, number, licence, released)


def pin_of(name: str) -> Pin:
    """What is compared in a peer's environment."""
    return read_pin((REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8"))


def make_environment(name: str) -> Path:
    """Make the environment of a peer where there is none yet; give its Python.

    Raises
    ------
    subprocess.CalledProcessError
        A package cannot be had, or not together with the others.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    projects = (ROOT / "core", ROOT / "service")
    shared = [f"{package}=={version(package)}" for package in SHARED_PACKAGES]
    own = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    texts = [own, *shared, *((project / "pyproject.toml").read_text(encoding="utf-8") for project in projects)]
    made_of = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    stamp = folder / "made_of"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
        return python
    print(f"making {folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True)
    install = [*uv, "pip", "install", "--python", python]
    subprocess.run([*install, "-r", REQUIREMENTS / f"{name}.txt", *shared, "-e", f"{projects[0]}[images]"], check=True)
    subprocess.run([*install, "--no-deps", "-e", projects[1]], check=True)
    stamp.write_text(made_of, encoding="utf-8")
    return python
