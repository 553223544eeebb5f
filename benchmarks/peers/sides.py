"""The servers that are compared, and how each is started."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bare import BareNetwork
from benchmarks.peers.environments import make_environment
from benchmarks.server import Server, free_port, running, running_service

from monolayer_service.compute import plan_compute
from monolayer_service.settings import Settings

APPS = Path(__file__).parent / "apps"
OURS = "Monolayer"
OURS_ON_OPENVINO = "Monolayer on OpenVINO"


@dataclass(frozen=True)
class Side:
    """One server.

    Attributes
    ----------
    peer
        Name of its environment; empty for the service itself.
    settings
        Variables of its environment.
    is_exact
        Whether it must find the very objects of the service; else as many of them.
    command
        What its Python runs; ``{port}`` stands for the port.
    """

    name: str
    peer: str = ""
    command: tuple[str, ...] = ()
    path: str = "/predict"
    ready_path: str = "/health"
    settings: Mapping[str, str] = field(default_factory=dict)
    is_exact: bool = True


OUR_PATH = "/v1/segment?fallback=never"

SIDES = (
    Side(OURS, path=OUR_PATH),
    Side(OURS_ON_OPENVINO, path=OUR_PATH, settings={"MONOLAYER_CPU_RUNTIME": "openvino"}, is_exact=False),
    Side(
        "FastAPI",
        "fastapi",
        ("-m", "uvicorn", "plain:app", "--port", "{port}", "--log-level", "warning", "--no-access-log"),
    ),
    Side("LitServe, batches of 8", "litserve", ("lit.py",), settings={"PEER_WORKERS": "1"}),
    Side("LitServe, 2 workers", "litserve", ("lit.py",), settings={"PEER_WORKERS": "2"}),
    Side(
        "BentoML, batches of 8",
        "bentoml",
        ("-m", "bentoml", "serve", "bento:Batched", "--port", "{port}", "--host", "127.0.0.1"),
        ready_path="/readyz",
    ),
    Side(
        "BentoML, single images",
        "bentoml",
        ("-m", "bentoml", "serve", "bento:Single", "--port", "{port}", "--host", "127.0.0.1"),
        ready_path="/readyz",
    ),
)


def start(
    side: Side, bare: BareNetwork | None, *, largest_side: int, start_seconds: float, logs: Path
) -> contextlib.AbstractContextManager[Server]:
    """Start a server until the block ends; peers run the network of `bare`.

    Raises
    ------
    RuntimeError
        It did not become ready; what it wrote is in `logs`.
    """
    if not side.peer:
        return running_service(start_seconds, side.settings)
    if bare is None:
        raise ValueError(f"{side.name} cannot come before the service, which says what network runs")
    port = free_port()
    environment = {
        "PEER_BUNDLE": str(bare.bundle),
        "PEER_FILE": bare.file,
        "PEER_THREADS": str(bare.threads),
        "PEER_OPENCV_THREADS": str(plan_compute(Settings()).opencv_threads),
        "PEER_LARGEST_SIDE": str(largest_side),
        "PEER_PORT": str(port),
        "BENTOML_DO_NOT_TRACK": "True",
        "PATH": os.pathsep.join((str(make_environment(side.peer).parent), os.environ["PATH"])),
        "PYTHONPATH": "",
        **side.settings,
    }
    logs.mkdir(parents=True, exist_ok=True)
    return running(
        [str(make_environment(side.peer)), *(part.format(port=port) for part in side.command)],
        port=port,
        ready_path=side.ready_path,
        start_seconds=start_seconds,
        environment=environment,
        folder=APPS,
        log=logs / f"{side.name.replace(' ', '_').replace(',', '')}.log",
    )
