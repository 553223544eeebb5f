"""Time from the start of the process to its first sign of being ready."""

import statistics

from benchmarks.server import running_service
from benchmarks.targets import Figure


def measure_start(times: int, start_seconds: float) -> Figure:
    """Start and end the service so many times; the median.

    The first one reads its files from the disk, the others from memory, as a restart does.
    """
    seconds, cpu_seconds = [], []
    for _ in range(times):
        with running_service(start_seconds) as server:
            seconds.append(server.ready_seconds)
            cpu_seconds.append(server.ready_cpu_seconds)
    each = ", ".join(f"{value:.1f}" for value in seconds)
    cpu = statistics.median(cpu_seconds)
    return Figure(statistics.median(seconds), f"{each} s; {cpu:.1f} s of processor time")
