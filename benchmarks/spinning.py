"""What the runtime's threads do while they have nothing to do, and what that costs: settings of one session compared.

A thread of ONNX Runtime that finds no work spins for a while before it sleeps: within a run that saves waking it for
every operator, after a run it burns the core that the request's own thread needs. For each setting the runs of one tile
are timed back to back and with pauses as long as a request's other work, in turn with those of the other settings.

    python -m benchmarks.spinning           about a minute on a quiet machine
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from benchmarks.machine import describe
from benchmarks.service import ROOT

from monolayer_core.model_card import INT8_MODEL_NAME, TEST_INPUT_NAME

SETTINGS = {
    "spin (the runtime's default)": {},
    "stop when a run ends": {"session.force_spinning_stop": "1"},
    "never": {"session.intra_op.allow_spinning": "0"},
}


def main() -> None:
    arguments = parse_arguments()
    tile = np.load(arguments.bundle / TEST_INPUT_NAME)[:1]
    tile = np.pad(tile, ((0, 0), *((0, max(0, arguments.side - length)) for length in tile.shape[1:3]), (0, 0)), "wrap")
    tile = np.ascontiguousarray(tile[:, : arguments.side, : arguments.side])
    sessions = {name: open_session(arguments, entries) for name, entries in SETTINGS.items()}
    times: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
    for round_number in range(arguments.rounds + 1):
        for pause_ms in (0.0, arguments.pause_ms):
            for name, session in sessions.items():
                measured = measure(session, tile, pause_ms, arguments.runs)
                if round_number:  # the first one warms up
                    times.setdefault((name, pause_ms), []).append(measured)
    print(describe())
    print(f"\nOne tile of {arguments.side}² on {arguments.threads} threads; medians of {arguments.rounds} rounds.\n")
    print("| between runs | threads without work | ms a run | CPU ms a run | CPU ms after it |")
    print("| --- | --- | --- | --- | --- |")
    for (name, pause_ms), rounds in times.items():
        wall, during, after = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {pause_ms:g} ms | {name} | {wall:.2f} | {during:.2f} | {after:.2f} |")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "service/monolayer_service/bundles/nuclei")
    parser.add_argument("--side", type=int, default=256, help="of the tile, in pixels")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=20, help="in one measurement")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pause-ms", type=float, default=10.0)
    return parser.parse_args()


def open_session(arguments: argparse.Namespace, entries: dict[str, str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    for name in ("height", "width"):
        options.add_free_dimension_override_by_name(name, arguments.side)
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


if __name__ == "__main__":
    main()
