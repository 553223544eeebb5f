"""What a figure was measured on: a figure without its machine and versions says nothing."""

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "monolayer-service",
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "opencv-python-headless",
    "fastapi",
    "uvicorn",
)


def processor() -> str:
    """Model name of the processor where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe() -> str:
    """Machine, versions and date in two lines of Markdown."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    return (
        f"{today}, {processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}  \n"
        + ", ".join(found)
    )
