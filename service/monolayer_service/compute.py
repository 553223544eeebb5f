"""How many cores there are and who gets them: decided here and nowhere else.

A tile that has the network to itself is computed by every core. Where more wait, several are computed at once on a CPU,
by a core each as far as there are some: cores that share a tile wait for one another after every layer. A frame's small
tile may start beside them, if that spares it a wait of several times its own length (`NetworkRuns.guests`). Requests
have threads of their own, in which images are decoded, normalised, cut, split and encoded; a thread whose tiles are in
the network waits and needs no core. There is one of them for each core and each tile in the network, so that it finds
tiles to run also when every core is at work on what comes before or after it. OpenCV gets the cores divided by the
requests at once, since its own threads would otherwise multiply with them.
"""

import math
import os
from dataclasses import dataclass

import cv2

from monolayer_service.cpu_quota import quota_cores
from monolayer_service.settings import Settings

MOST_RUNS_AT_ONCE = 4
"""Each holds the features of one tile, for a tile of 1024 pixels some 300 MB."""


@dataclass(frozen=True)
class NetworkThreads:
    """Threads of a network on a CPU.

    Attributes
    ----------
    alone
        Of a session whose one run has all cores to itself.
    shared
        Of a session that is run several times at once. Its pool serves all these runs, and each of them brings the
        thread that calls it.
    """

    alone: int
    shared: int

    @property
    def runs(self) -> int:
        """How many runs at once fill all cores in a shared session."""
        return self.alone - self.shared + 1


@dataclass(frozen=True)
class ComputePlan:
    """How the cores are divided.

    Attributes
    ----------
    network_threads
        Threads of one network.
    network_runs
        Runs at once on a CPU where tiles wait.
    running_requests
        Requests computed at once.
    opencv_threads
        Threads of one call of OpenCV.
    """

    network_threads: NetworkThreads
    network_runs: int
    running_requests: int
    opencv_threads: int


@dataclass(frozen=True)
class NetworkRuns:
    """How many runs of networks share the machine; see `TileScheduler`.

    Attributes
    ----------
    at_once
        Runs at once, whatever their size.
    guests
        Much smaller ones that may start beside them.
    one_takes_all
        Whether a run with nothing waiting behind it takes the place of all.
    """

    at_once: int
    guests: int
    one_takes_all: bool


MOST_THREADS_TO_WAKE = 2
"""Threads of a network of which it costs no time that the others sleep between two operators."""


def network_thread_options(threads: int) -> dict[str, str]:
    """Say what threads of a session do that find no work, as session options of ONNX Runtime.

    By default they spin for a while before they sleep, also after a run, while the request's own thread needs a core to
    split and write the answer. Spinning within a run spares waking them for every operator. To wake a single one takes
    no longer than it saves: two threads are as fast without, for a sixth less processor time, and a fifth faster where
    another run has the cores too (`benchmarks.spinning`). More of them spin within a run, and stop when it ends.
    """
    if threads <= MOST_THREADS_TO_WAKE:
        return {"session.intra_op.allow_spinning": "0"}
    return {"session.force_spinning_stop": "1"}


def available_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its container or unit, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, quota_cores())))


def plan_compute(settings: Settings) -> ComputePlan:
    """Divide the cores as the settings say."""
    cores = settings.threads or available_cores()
    runs = min(settings.network_runs or MOST_RUNS_AT_ONCE, cores)
    running = settings.running_requests or max(3, cores + runs)
    return ComputePlan(NetworkThreads(cores, cores - runs + 1), runs, running, max(1, cores // running))


def network_runs(plan: ComputePlan, *, on_gpu: bool) -> NetworkRuns:
    """Decide how many runs share the machine.

    A frame's one small tile starts beside large ones that are in the network already, instead of waiting for up to
    sixteen times its own length. On a GPU there is one run besides: a second one in the same session would need as
    much memory again, and copying what it brings takes too little time to be worth hiding. A guest is of another size,
    so in a session of its own.
    """
    if on_gpu:
        return NetworkRuns(at_once=1, guests=1, one_takes_all=False)
    return NetworkRuns(at_once=plan.network_runs, guests=1, one_takes_all=True)


def apply_plan(plan: ComputePlan) -> None:
    """Set what is process-wide; the networks' threads are set when their sessions are made."""
    cv2.setNumThreads(plan.opencv_threads)
    # Where nothing says how many threads OpenMP has, scikit-learn runs a program (lscpu) in the middle of a request.
    os.environ.setdefault("OMP_NUM_THREADS", str(available_cores()))
