"""What the runtime's threads do while they have nothing to do, and what that costs: settings of one session compared.

A thread of ONNX Runtime that finds no work spins for a while before it sleeps: within a run that saves waking it for
every operator, after a run it burns the core that the request's own thread needs. For each setting, in turn with the
others, the runs of one tile are timed back to back, with pauses as long as a request's other work, and beside a large
tile in another thread, as a frame runs beside a slide.

    python -m benchmarks.spinning           about two minutes on a quiet machine; on a busy one only the CPU times count
"""

import argparse
import os
import statistics
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from benchmarks.machine import describe
from benchmarks.places import ROOT

from monolayer_core.model_card import INT8_MODEL_NAME, TEST_INPUT_NAME

SETTINGS = {
    "spin (the runtime's default)": {},
    "stop when a run ends": {"session.force_spinning_stop": "1"},
    "never": {"session.intra_op.allow_spinning": "0"},
}


def main() -> None:
    arguments = parse_arguments()
    small, large = (random_tile(arguments.bundle, side) for side in (arguments.side, arguments.large_side))
    sessions = {
        name: [open_session(arguments, side, entries) for side in (arguments.side, arguments.large_side)]
        for name, entries in SETTINGS.items()
    }
    times: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for round_number in range(arguments.rounds + 1):
        for name, (session, host) in sessions.items():
            measured = {
                "back to back": measure(session, small, 0.0, arguments.runs),
                f"pauses of {arguments.pause_ms:g} ms": measure(session, small, arguments.pause_ms, arguments.runs),
                f"beside tiles of {arguments.large_side}²": measure_beside(session, small, host, large, arguments),
            }
            if round_number:  # the first one warms up
                for situation, seconds in measured.items():
                    times.setdefault((situation, name), []).append(seconds)
    print(describe())
    print(f"\nOne tile of {arguments.side}² on {arguments.threads} threads; medians of {arguments.rounds} rounds.\n")
    print("| situation | threads without work | ms a run | CPU ms a run | CPU ms after it |")
    print("| --- | --- | --- | --- | --- |")
    for (situation, name), rounds in sorted(times.items()):
        cells = [f"{1000 * statistics.median(column):.2f}" for column in zip(*rounds, strict=True)]
        print(f"| {situation} | {name} | {' | '.join([*cells, '', ''][:3])} |")


def random_tile(bundle: Path, side: int) -> np.ndarray:
    channels = np.load(bundle / TEST_INPUT_NAME).shape[3]
    return np.random.default_rng(0).integers(0, 256, (1, side, side, channels), dtype=np.uint8)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "service/monolayer_service/bundles/nuclei")
    parser.add_argument("--side", type=int, default=256, help="of the tile, in pixels")
    parser.add_argument("--large-side", type=int, default=1024, help="of the tile beside it")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=20, help="in one measurement")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pause-ms", type=float, default=10.0)
    return parser.parse_args()


def open_session(arguments: argparse.Namespace, side: int, entries: dict[str, str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    for name in ("height", "width"):
        options.add_free_dimension_override_by_name(name, side)
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return ort.InferenceSession(arguments.bundle / INT8_MODEL_NAME, options, providers=["CPUExecutionProvider"])


def measure(session: ort.InferenceSession, tile: np.ndarray, pause_ms: float, runs: int) -> tuple[float, float, float]:
    """Seconds of one run: on the clock, of all processors within it, and of all processors in the pause after it."""
    wall = during = after = 0.0
    for _ in range(runs):
        clock, cpu = time.perf_counter(), time.process_time()
        session.run(None, {"image": tile})
        ended = time.process_time()
        wall, during = wall + time.perf_counter() - clock, during + ended - cpu
        time.sleep(pause_ms / 1000)
        after += time.process_time() - ended
    return wall / runs, during / runs, after / runs


def measure_beside(
    session: ort.InferenceSession,
    tile: np.ndarray,
    host: ort.InferenceSession,
    host_tile: np.ndarray,
    arguments: argparse.Namespace,
) -> tuple[float]:
    """Seconds of one run on the clock while another thread runs a large tile over and over."""
    done = threading.Event()

    def run_host() -> None:
        while not done.is_set():
            host.run(None, {"image": host_tile})

    thread = threading.Thread(target=run_host)
    thread.start()
    try:
        return (measure(session, tile, arguments.pause_ms, arguments.runs)[0],)
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
