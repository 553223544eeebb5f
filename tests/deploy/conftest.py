"""Three replicas of the service, and the load balancers of `deploy/` in front of them, as programs of their own."""

import contextlib
import getpass
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from benchmarks.load import Post
from benchmarks.places import ROOT
from benchmarks.server import Server, free_port, running, running_service

DEPLOY = ROOT / "deploy"
PORTS = (8001, 8002, 8003)
START_SECONDS = 240


class Replica:
    """One service on a port that it keeps when it is started again."""

    def __init__(self, name: str, models: Path, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self._environment = {
            "MONOLAYER_MODELS": str(models),
            "MONOLAYER_THREADS": "1",
            "MONOLAYER_NETWORK_RUNS": "1",
            "MONOLAYER_DRAIN_SECONDS": "3",
        }
        self._life = contextlib.ExitStack()
        self.server: Server | None = None

    def start(self) -> None:
        service = running_service(START_SECONDS, self._environment, port=self.port, log=self.log)
        self.server = self._life.enter_context(service)

    def kill(self) -> None:
        """End it at once."""
        self.server.kill()
        self.server = None

    def stop(self) -> int:
        """Stop it in order, and give its exit status."""
        status = self.server.stop()
        self.server = None
        return status

    def close(self) -> None:
        self._life.close()


@pytest.fixture(scope="session")
def all_replicas(toy_bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    replicas = [Replica(f"replica{number}", toy_bundles, folder) for number in (1, 2, 3)]
    yield replicas
    for replica in replicas:
        replica.close()


@pytest.fixture
def replicas(all_replicas):
    """Give three replicas that run, whatever tests before this one did to them."""
    return [started(replica) for replica in all_replicas]


@pytest.fixture
def replica(all_replicas):
    """Give one of them."""
    return started(all_replicas[0])


def started(replica):
    if replica.server is None:
        replica.start()
    return replica


@pytest.fixture(params=["nginx", "haproxy"])
def balancer(request):
    """Give a function that runs a load balancer with its configuration in `deploy/`, in front of the ports it is told.

    The programs are looked for on the PATH and in the folder `MONOLAYER_BALANCERS`, into which their packages were
    unpacked.
    """
    name = request.param
    folder = Path(os.environ.get("MONOLAYER_BALANCERS", "/nonexistent"))
    program = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(folder / "usr" / "sbin"), "/usr/sbin"]))
    if program is None:
        pytest.skip(f"there is no {name} on the PATH or in MONOLAYER_BALANCERS: see deploy/README.md")
    libraries = os.pathsep.join(str(path) for path in folder.glob("usr/lib/*-linux-gnu"))
    environment = {"LD_LIBRARY_PATH": libraries} if Path(program).is_relative_to(folder) else {}
    tmp_path = request.getfixturevalue("tmp_path")

    @contextlib.contextmanager
    def run(ports: Sequence[int], ready_path: str = "/readyz", head_seconds: int = 20):
        port = free_port()
        config = write_config(name, [port, *ports], tmp_path, head_seconds)
        with running(
            command_of(name, program, config),
            port=port,
            ready_path=ready_path,
            start_seconds=START_SECONDS,
            environment=environment,
            log=tmp_path / f"{name}.log",
        ) as server:
            yield server

    return run


def write_config(name: str, ports: Sequence[int], folder: Path, head_seconds: int) -> Path:
    """Write the configuration with other ports, its own and those of the replicas, and another time for heads."""
    source = DEPLOY / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]
    text = source.read_text(encoding="utf-8")
    listen = {"nginx": "listen {};", "haproxy": "bind :{}\n"}[name]
    changes = {listen.format(8080): listen.format(f"127.0.0.1:{ports[0]}").replace("bind :", "bind ")}
    changes |= {f"127.0.0.1:{old}": f"127.0.0.1:{new}" for old, new in zip(PORTS, ports[1:], strict=True)}
    head = {"nginx": "client_header_timeout {}s;", "haproxy": "timeout http-request {}s "}[name]
    changes[head.format(20)] = head.format(head_seconds)
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / source.name
    path.write_text(text, encoding="utf-8")
    return path


def command_of(name: str, program: str, config: Path) -> list[str]:
    """Give the command of `deploy/README.md`, in the foreground."""
    if name == "haproxy":
        return [program, "-f", str(config)]
    return [program, "-p", str(config.parent), "-c", str(config), "-g", f"daemon off; user {getpass.getuser()};"]


@pytest.fixture
def frame(blobs_png):
    """Give a request that costs little."""
    return Post("/v1/segment?fallback=never", blobs_png)


@pytest.fixture(scope="session")
def request_count():
    """Give how many requests a run under load is made of: few with every test, `make test-deploy` sets more."""
    return int(os.environ.get("MONOLAYER_DEPLOY_REQUESTS", "300"))
