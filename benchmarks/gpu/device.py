"""The device that is measured: whether it works, what it is called, and how much of its memory is taken."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import onnxruntime as ort

from monolayer_core.arrays import TileBatch
from monolayer_core.model_card import Precision, read_card
from monolayer_service.compute import available_cores, plan_compute
from monolayer_service.segmenters.runtime import CUDA
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings

DeviceName: TypeAlias = Literal["cuda", "cpu"]

SMI_SECONDS = 20


@dataclass(frozen=True)
class Candidate:
    """One way to compute the network, as it is named in the tables."""

    name: str
    bundle: Path
    precision: Precision
    tf32: bool = False

    def open(self, device: DeviceName) -> Network:
        """The network as the service opens it.

        Raises
        ------
        RuntimeError
            The bundle has no such file, or the sessions do not run on the device.
        """
        card = read_card(self.bundle)
        files = card.files_of(self.precision)
        if files is None:
            raise RuntimeError(f"{self.bundle} has no {self.precision} network")
        network = Network(
            files[0],
            (self.bundle / files[0]).read_bytes(),
            card,
            prefer_cuda=device == "cuda",
            threads=plan_compute(Settings()).network_threads,
            precision=self.precision,
            tf32=self.tf32,
        )
        network.run(blank(network, 256, 1))
        if device == "cuda" and network.provider != CUDA:
            raise RuntimeError(f"the network runs on {network.provider}, not on {CUDA}")
        return network

    def environment(self, device: DeviceName) -> dict[str, str]:
        """Settings of a service that answers so."""
        return {
            "MONOLAYER_DEVICE": device,
            "MONOLAYER_PRECISION": self.precision,
            "MONOLAYER_TF32": str(self.tf32).lower(),
            "MONOLAYER_LOG_LEVEL": "warning",
        }


def blank(network: Network, side: int, batch: int) -> TileBatch:
    """Black tiles."""
    return np.zeros((batch, side, side, network.card.channel_count), np.uint8)


def cuda_problem(candidate: Candidate) -> str | None:
    """Why networks cannot run on CUDA here, or None."""
    if CUDA not in ort.get_available_providers():
        return f"this onnxruntime {ort.__version__} has no {CUDA}: {', '.join(ort.get_available_providers())}"
    try:
        candidate.open("cuda")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"
    return None


def describe_device(device: DeviceName) -> str:
    """Name, driver and memory of the GPU, and the versions of what computes on it; one line of Markdown."""
    if device == "cpu":
        return f"**not a GPU: the same code on {available_cores()} cores of the processor, to try it**"
    found = query("name,driver_version,memory.total")
    named = ", ".join(f"{what} {value}" for what, value in zip(("", "driver", "memory"), found, strict=False))
    return f"{named.strip() or 'GPU of unknown name (no nvidia-smi)'}; {cuda_versions()}"


def cuda_versions() -> str:
    """What ONNX Runtime was built for and what was loaded, as far as can be told."""
    parts = [f"onnxruntime {ort.__version__}", f"built for CUDA {getattr(ort, 'cuda_version', '') or 'unknown'}"]
    from importlib.metadata import PackageNotFoundError, version

    for package in ("nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-cublas"):
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


def memory_mib() -> int | None:
    """Memory of the first GPU that is taken, by whoever, in MiB; None where nvidia-smi does not tell."""
    found = query("memory.used")
    try:
        return int(found[0].split()[0])
    except (IndexError, ValueError):
        return None


def query(fields: str) -> list[str]:
    """What nvidia-smi says of the first GPU, or nothing."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    lines = answer.stdout.strip().splitlines()
    return [value.strip() for value in lines[0].split(",")] if lines else []
