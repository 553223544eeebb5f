"""How many cores there are and who gets them: decided here and nowhere else.

A run of a network uses every core, and on a CPU one runs at a time: a second one at once would only take the caches
from it, unless that spares a frame a wait of several times its own length (`NetworkRuns.guests`). Requests have threads
of their own, in which images are decoded, normalised, cut, split and encoded; a thread whose tiles are in the network
waits and needs no core. There is one more of them than cores, so that the network finds tiles to run also when every
core is at work on what comes before or after it. OpenCV gets the cores divided by the requests at once, since its own
threads would otherwise multiply with them.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2

from monolayer_service.settings import Settings

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class ComputePlan:
    """Threads for one network run, requests computed at once, and threads for one OpenCV call."""

    network_threads: int
    running_requests: int
    opencv_threads: int


@dataclass(frozen=True)
class NetworkRuns:
    """Runs of networks at once, and how many much smaller ones may start beside them; see `TileScheduler`."""

    at_once: int
    guests: int


NETWORK_THREAD_OPTIONS = {"session.force_spinning_stop": "1"}
"""Threads of a network that find no work spin for a while before they sleep. Within a run that spares waking them for
every operator. After it they would spin on while the request's own thread needs a core to split and write the answer:
so they stop when a run ends."""


def available_cores(quota: Path = _CGROUP_QUOTA) -> int:
    """Cores this process may use: its affinity, and the container's quota where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return cores if limit == "max" else max(1, min(cores, math.ceil(int(limit) / int(period))))


def plan_compute(settings: Settings) -> ComputePlan:
    """Divide the cores as the settings say."""
    cores = settings.threads or available_cores()
    running = settings.running_requests or max(3, cores + 1)
    return ComputePlan(cores, running, max(1, cores // running))


def network_runs(*, on_gpu: bool) -> NetworkRuns:
    """Decide how many runs share the machine.

    On a GPU a second run copies the next batch there while the first one runs. On a CPU a frame's one small tile starts
    beside a large one that is in the network already, instead of waiting for up to sixteen times its own length.
    """
    return NetworkRuns(at_once=2, guests=0) if on_gpu else NetworkRuns(at_once=1, guests=1)


def apply_plan(plan: ComputePlan) -> None:
    """Set what is process-wide; ONNX Runtime's threads are set when its sessions are made."""
    cv2.setNumThreads(plan.opencv_threads)
