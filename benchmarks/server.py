"""A program that answers over HTTP: started for a benchmark, watched, and ended with it.

Time and memory are those of all its processes together, since some servers keep the network in processes of its own.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

LOOK_EVERY_SECONDS = 0.02
STOP_SECONDS = 30


class Server:
    """A running program that listens on a port of the loopback.

    Attributes
    ----------
    port
        Where it listens.
    ready_seconds, ready_cpu_seconds
        Time and processor time from its start to its first sign of being ready.
    """

    def __init__(self, pid: int, port: int, ready_seconds: float) -> None:
        self._process = psutil.Process(pid)
        self.port = port
        self.ready_seconds = ready_seconds
        self.ready_cpu_seconds = self.cpu_seconds()

    def cpu_seconds(self) -> float:
        """Processor time of its processes so far, in the system and out of it."""
        return sum(times.user + times.system for times in self._each(psutil.Process.cpu_times))

    def main_thread_cpu_seconds(self) -> float:
        """Processor time so far of the first process' first thread, where Python servers run their event loop."""
        first = next(thread for thread in self._process.threads() if thread.id == self._process.pid)
        return first.user_time + first.system_time

    def resident_bytes(self) -> int:
        """Resident memory, pages that several of its processes share counted once for each."""
        return sum(memory.rss for memory in self._each(psutil.Process.memory_info))

    def proportional_bytes(self) -> int:
        """Resident memory, shared pages divided among those who share them (Linux)."""
        return sum(memory.pss for memory in self._each(psutil.Process.memory_full_info))

    def descriptors(self) -> int:
        """Open files and connections (Linux, macOS)."""
        return sum(self._each(psutil.Process.num_fds))

    def threads(self) -> int:
        """Threads of its processes."""
        return sum(self._each(psutil.Process.num_threads))

    def stop(self) -> int:
        """Ask it to end, as a platform does, and give its exit status."""
        self._process.terminate()
        return int(self._process.wait(STOP_SECONDS))

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def forget_peak(self) -> None:
        """Let `peak_bytes` count from here (Linux)."""
        for process_id in self._each(lambda process: process.pid):
            forget_peak(process_id)

    def peak_bytes(self) -> int:
        """Peak of the resident memory, the peaks of its processes added up (Linux)."""
        return sum(self._each(lambda process: peak_bytes(process.pid)))

    def metric(self, name: str) -> float:
        """The value of one of its Prometheus metrics; see `find_metric`.

        Raises
        ------
        ValueError
            There is no such metric.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as response:
            return find_metric(response.read().decode(), name)

    def _each(self, look):  # noqa: ANN001, ANN202 - one of psutil's methods, and what it gives
        found = []
        for process in (self._process, *self._process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(look(process))
        return found


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    ready_path: str,
    start_seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    log: Path | None = None,
) -> Iterator[Server]:
    """Run a command that listens on `port` until the block ends.

    Raises
    ------
    RuntimeError
        It was not ready in time, or ended before.
    """
    began = time.perf_counter()
    output = subprocess.DEVNULL if log is None else log.open("wb")
    process = subprocess.Popen(
        command, stdout=output, stderr=output, env={**os.environ, **(environment or {})}, cwd=folder
    )
    try:
        while not is_ready(port, ready_path):
            if process.poll() is not None or time.perf_counter() - began > start_seconds:
                raise RuntimeError(f"{' '.join(command)} was not ready after {time.perf_counter() - began:.0f} s")
            time.sleep(LOOK_EVERY_SECONDS)
        yield Server(process.pid, port, time.perf_counter() - began)
    finally:
        end(process)
        if log is not None:
            output.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process and those it started to end; kill what is left after a while."""
    if process.poll() is not None:
        return
    family = [*psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for left in psutil.wait_procs(family, timeout=5)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    if process.poll() is None:
        process.kill()
        process.wait()


def running_service(
    start_seconds: float,
    environment: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
    log: Path | None = None,
) -> contextlib.AbstractContextManager[Server]:
    """Run the service as `monolayer-serve` does until the block ends, by default on a free port; see `running`."""
    port = free_port() if port is None else port
    command = [sys.executable, "-m", "monolayer_service", "--host", "127.0.0.1", "--port", str(port)]
    return running(
        command, port=port, ready_path="/readyz", start_seconds=start_seconds, environment=environment, log=log
    )


def forget_peak(process_id: int) -> None:
    """Let `peak_bytes` of a process count from here (Linux)."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(process_id: int) -> int:
    """Peak of the resident memory of a process (Linux)."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError("the system does not tell the peak")
    return int(found[1]) * 1024


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int, path: str) -> bool:
    """Whether a path is answered with 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def find_metric(text: str, name: str) -> float:
    """The value of a metric in Prometheus' text format; where it has labels, they belong to the name.

    Examples
    --------
    >>> find_metric("# TYPE held gauge\\nheld_bytes 12.0\\n", "held_bytes")
    12.0
    >>> find_metric('answers{status="200"} 3.0\\nanswers{status="429"} 1.0\\n', 'answers{status="429"}')
    1.0
    """
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"there is no metric {name}")
    return float(found[1])
