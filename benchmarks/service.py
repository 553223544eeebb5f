"""The service on this machine against its targets, each with both of its sides measured in one run.

Starts the service as `monolayer-serve` does and posts images made of a real example picture. The bare network runs in
this process in between, on the file that the service answers with and in a session of the same options.

    python -m benchmarks.service --output benchmarks/results         what `make bench` runs; service.md and service.png
    python -m benchmarks.service --only throughput --rounds 2        a look at one part
"""

import argparse
import statistics
import time
from pathlib import Path

from benchmarks.bare import BareNetwork
from benchmarks.charts import draw_service
from benchmarks.fairness import measure_fairness
from benchmarks.large import LARGE_SIDE, measure_large
from benchmarks.machine import describe
from benchmarks.pictures import read_picture
from benchmarks.places import EXAMPLES
from benchmarks.server import running_service
from benchmarks.shapes import measure_shapes
from benchmarks.startup import measure_start
from benchmarks.tables import mark, markdown_table
from benchmarks.targets import Figure, target_table
from benchmarks.throughput import CLIENTS, SIDES, Throughput, figures, measure_throughput

STAGES = ("decode", "queue", "prepare", "inference", "postprocess", "encode")
STAGES_MEASURED = """\
`POST /v1/segment` with a PNG, from decoding to run lengths; medians of rounds after a warm-up. Processor time is that
of one request in all threads of the service; the last column is the load generator's share of one core."""

PROCESSOR_MEASURED = """\
Milliseconds of a request. The network's are those of a bare run; the event loop reads and writes HTTP, admits, and
hands over; the rest is decoding, preparing, splitting, measuring and encoding in the requests' threads, the tile queue,
and waiting of onnxruntime's threads between runs. [`steps.md`](steps.md) has the rest step by step."""

IDLE_SECONDS = 5.0
"""Time without work after which the service gives memory back; none of its pauses under load is as long."""

PARTS = ("start", "throughput", "large", "fairness", "memory")


def main() -> None:
    arguments = parse_arguments()
    began = time.perf_counter()
    picture = read_picture(arguments.image)
    found: dict[str, Figure] = {}
    throughput = None

    def note(**new: Figure) -> None:
        found.update(new)
        print(f"{time.perf_counter() - began:.0f} s\n{target_table(new)}", flush=True)

    if "start" in arguments.only:
        note(start=measure_start(arguments.starts, arguments.start_seconds))
    with running_service(arguments.start_seconds) as server:
        bare = BareNetwork(server)
        network = f"{bare.card.name} {bare.card.version}, {bare.file}, {bare.threads} threads, {bare.network.provider}"
        if "throughput" in arguments.only:
            throughput = measure_throughput(
                server, bare, picture, rounds=arguments.rounds, seconds=arguments.case_seconds
            )
            note(**figures(throughput))
        if "large" in arguments.only:
            note(large=measure_large(server, picture, side=arguments.large_side, small_requests=10))
        if "fairness" in arguments.only:
            note(fairness=measure_fairness(server, picture, slide_side=arguments.large_side, frames=arguments.frames))
    if "memory" in arguments.only:
        # Anew: a large image leaves room for many small ones.
        idle = {"MONOLAYER_IDLE_SECONDS": str(IDLE_SECONDS)}
        with running_service(arguments.start_seconds, idle) as server:
            requests = arguments.memory_requests
            note(memory=measure_shapes(server, picture, requests=requests, idle_seconds=IDLE_SECONDS))
    report = render(found, throughput, network)
    print(f"\n{report}")
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "service.md").write_text(report, encoding="utf-8")
        if throughput is not None:
            stages = {f"{side}², {n} client{'s' * (n > 1)}": throughput.stages_ms((side, n)) for side, n in cases()}
            draw_service(found, stages, STAGES, arguments.output / "service.png")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the table")
    parser.add_argument("--image", type=Path, default=EXAMPLES / "fluorescence_tissue.png", help="what images are of")
    parser.add_argument("--starts", type=int, default=3, help="how often the service is started")
    parser.add_argument("--rounds", type=int, default=5, help="through all cases of throughput")
    parser.add_argument("--case-seconds", type=float, default=3, help="of each case in a round")
    parser.add_argument("--large-side", type=int, default=LARGE_SIDE, help="of the large image and the slide")
    parser.add_argument("--frames", type=int, default=100, help="most frames beside the slide")
    parser.add_argument("--memory-requests", type=int, default=2000)
    parser.add_argument("--start-seconds", type=float, default=60, help="how long the service may take to be ready")
    parser.add_argument("--output", type=Path, help="folder for the table and the plot; without it they are not kept")
    return parser.parse_args()


def cases() -> list[tuple[int, int]]:
    """Image side and clients."""
    return [(side, clients) for side in SIDES for clients in CLIENTS]


def render(found: dict[str, Figure], throughput: Throughput | None, network: str) -> str:
    """The document: what it was measured on, the targets, and the stages behind them."""
    parts = ["# The service on one machine", f"{describe()}  \n{network}", mark("targets", target_table(found))]
    if throughput is not None:
        parts += [
            "![Figures as shares of their targets, and the stages of a request](service.png)",
            STAGES_MEASURED,
            stage_table(throughput),
            "## Where the processor time goes",
            PROCESSOR_MEASURED,
            processor_table(throughput),
        ]
    return "\n\n".join(parts) + "\n"


def stage_table(throughput: Throughput) -> str:
    header = ["image", "clients", "requests/s", "Mpx/s", "median ms", "p99 ms"]
    header += [f"{stage} ms" for stage in STAGES] + ["processor ms", "generator"]
    rows = []
    for side, clients in cases():
        case = (side, clients)
        rate = throughput.median(case, lambda served: served.outcome.requests_per_second)
        stages = throughput.stages_ms(case)
        rows.append(
            [
                f"{side}²",
                str(clients),
                f"{rate:.2f}",
                f"{rate * side**2 / 1e6:.2f}",
                f"{throughput.median(case, lambda served: served.outcome.median_ms):.1f}",
                f"{throughput.median(case, lambda served: served.outcome.p99_ms):.1f}",
                *(f"{stages.get(stage, 0.0):.1f}" for stage in STAGES),
                f"{throughput.median(case, lambda served: served.cpu_ms):.1f}",
                f"{100 * throughput.median(case, lambda served: served.outcome.generator_cpu_share):.0f} %",
            ]
        )
    return markdown_table(header, rows)


def processor_table(throughput: Throughput) -> str:
    rows = []
    for side, clients in cases():
        case = (side, clients)
        whole = throughput.median(case, lambda served: served.cpu_ms)
        loop = throughput.median(case, lambda served: served.loop_ms)
        network = statistics.median(runs.cpu_ms for runs in throughput.bare[side])
        shares = [(part, 100 * part / whole) for part in (network, loop, whole - network - loop)]
        rows.append(
            [f"{side}²", str(clients), f"{whole:.1f}", *(f"{part:.1f} ({share:.0f} %)" for part, share in shares)]
        )
    return markdown_table(("image", "clients", "whole", "network", "event loop", "rest"), rows)


if __name__ == "__main__":
    main()
