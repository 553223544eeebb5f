"""The service beside servers of the same network, OpenVINO as the processor's ceiling, and other ways of single steps.

Each peer is installed into an environment of its own and makes the same calls before and after the network.

    python -m benchmarks.peers --output benchmarks/results       what `make bench-peers` runs; peers.md and peers.png
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.charts import draw_bars
from benchmarks.machine import describe
from benchmarks.peers.alternatives import compare_alternatives
from benchmarks.peers.environments import make_environment
from benchmarks.peers.report import CEILING, bars, ceiling_table, server_part
from benchmarks.peers.rounds import CASES, Found, measure_sides
from benchmarks.peers.sides import SIDES
from benchmarks.pictures import encode_mosaic, read_picture
from benchmarks.places import EXAMPLES, NUCLEI

PARTS = ("servers", "ceiling", "alternatives")


def main() -> None:
    arguments = parse_arguments()
    picture = read_picture(arguments.image)
    pngs = {side: encode_mosaic(picture, side) for side in sorted({case[0] for case in CASES})}
    parts = ["# The service beside its peers", describe()]
    found: dict[str, Found] = {}
    if "servers" in arguments.only:
        for peer in sorted({side.peer for side in SIDES if side.peer}):
            make_environment(peer)
        found, bare = measure_sides(
            [side for side in SIDES if not arguments.sides or side.name in arguments.sides],
            pngs,
            rounds=arguments.rounds,
            seconds=arguments.case_seconds,
            start_seconds=arguments.start_seconds,
            logs=arguments.logs,
        )
        parts += server_part(found, bare)
    if "ceiling" in arguments.only:
        parts += ["## OpenVINO on the same files", ceiling_table(measure_ceiling(pngs, arguments.ceiling_rounds))]
    if "alternatives" in arguments.only:
        parts += ["## Other ways of single steps", compare_alternatives()]
    report = "\n\n".join(parts) + "\n"
    print(f"\n{report}")
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "peers.md").write_text(report, encoding="utf-8")
        if found:
            draw_bars(*bars(found), arguments.output / "peers.png")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sides", nargs="+", choices=[side.name for side in SIDES], help="all without it")
    parser.add_argument("--image", type=Path, default=EXAMPLES / "fluorescence_tissue.png", help="what images are of")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case-seconds", type=float, default=4, help="of each case in a round")
    parser.add_argument("--ceiling-rounds", type=int, default=15)
    parser.add_argument("--start-seconds", type=float, default=90, help="how long a server may take to be ready")
    parser.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()) / "monolayer-peers")
    parser.add_argument("--output", type=Path, help="folder for the table and the plot; without it they are not kept")
    return parser.parse_args()


def measure_ceiling(pngs: dict[int, bytes], rounds: int) -> list[dict[str, Any]]:
    """What `ceiling` prints in OpenVINO's environment."""
    python = make_environment(CEILING)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{side}.png" for side in pngs]
        for path, png in zip(paths, pngs.values(), strict=True):
            path.write_bytes(png)
        command = [python, Path(__file__).with_name("ceiling.py"), NUCLEI, *paths]
        command += ["--threads", str(len(os.sched_getaffinity(0))), "--rounds", str(rounds)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


if __name__ == "__main__":
    main()
