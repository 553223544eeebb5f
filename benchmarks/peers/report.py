"""The tables and the bars of `results/peers.md`."""

from collections.abc import Mapping
from typing import Any

from benchmarks.bare import BareNetwork
from benchmarks.peers.environments import pin_of
from benchmarks.peers.rounds import CASES, Found
from benchmarks.peers.sides import SIDES
from benchmarks.tables import mark, markdown_table

CEILING = "openvino"
"""Name of its environment."""

MEASURED = """\
All sides make the same calls before and after the network and find the same objects; on OpenVINO as many, with outlines
that may differ by a pixel here and there. The sides follow one another in each round, and the figures are medians of
the rounds. `of bare` is requests/s against runs of the bare network (`session.run` of onnxruntime) a second just
before. Processor time is that of one request in all processes of the server, memory theirs together after all cases,
with shared pages divided. `failed` counts answers of all rounds other than 200, of which no other figure is made. The
last column is the load generator's share of one core.\
"""

CEILING_MEASURED = """\
OpenVINO {version}, told to compute in float32 where the file does not say int8; run for run in turn with onnxruntime.
Apart: values of the answer that differ by more than 1/255, and the largest difference. Objects: of the two answers."""


def server_part(found: dict[str, Found], bare: BareNetwork) -> list[str]:
    """The sides, then one table for each case."""
    made_of = {side.name: pin_of(side.peer) if side.peer else None for side in SIDES}
    sides = markdown_table(
        ("side", "version", "licence", "released", "memory MiB"),
        (
            (
                name,
                *((pin.version, pin.licence, pin.released) if (pin := made_of[name]) else ("this", "MIT", "")),
                f"{max(rows.memory) >> 20}",
            )
            for name, rows in found.items()
        ),
    )
    parts = [
        f"{bare.card.name} {bare.card.version}, {bare.file}, {bare.threads} threads, {bare.network.provider}.",
        MEASURED,
        "![Requests a second, processor time and memory](peers.png)",
        sides,
    ]
    parts += [mark(f"servers_{side}_{clients}", f"{case_table(found, (side, clients))}") for side, clients in CASES]
    return parts


def case_table(found: dict[str, Found], case: tuple[int, int]) -> str:
    title = f"{case[0]}², {case[1]} client{'s' * (case[1] > 1)}"
    header = (title, "requests/s", "of bare", "p50 ms", "p99 ms", "processor ms", "failed", "generator")
    return markdown_table(
        header,
        (
            (
                name,
                f"{rows.median(case, lambda row: row.outcome.requests_per_second):.2f}",
                f"{rows.median(case, lambda row: row.outcome.requests_per_second / row.bare_per_second):.2f}",
                f"{rows.median(case, lambda row: row.outcome.median_ms):.1f}",
                f"{rows.median(case, lambda row: row.outcome.p99_ms):.1f}",
                f"{rows.median(case, lambda row: row.cpu_ms):.1f}",
                str(sum(row.outcome.failed for row in rows.cases[case])),
                f"{100 * rows.median(case, lambda row: row.outcome.generator_cpu_share):.0f} %",
            )
            for name, rows in found.items()
        ),
    )


def bars(found: dict[str, Found]) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """What is drawn, and its units."""
    groups: dict[str, dict[str, float]] = {}
    units: dict[str, str] = {}
    for case in CASES:
        title = f"{case[0]}², {case[1]} client{'s' * (case[1] > 1)}"
        units[title] = "requests/s"
        groups[title] = {
            name: rows.median(case, lambda row: row.outcome.requests_per_second) for name, rows in found.items()
        }
    busiest = (256, 8)
    units["256², 8 clients, processor"] = "ms a request"
    groups["256², 8 clients, processor"] = {
        name: rows.median(busiest, lambda row: row.cpu_ms) for name, rows in found.items()
    }
    units["memory after all"] = "MiB"
    groups["memory after all"] = {name: max(rows.memory) / 2**20 for name, rows in found.items()}
    return groups, units


def ceiling_table(lines: list[Mapping[str, Any]]) -> str:
    """What `ceiling` found, one line a file and image."""
    header = ("file", "image", "onnxruntime ms", "OpenVINO ms", "times as fast", "processor", "apart", "objects")
    rows = [
        (
            line["kind"],
            f"{line['side']}²",
            f"{line['onnxruntime']['ms']:.1f}",
            f"{line['openvino']['ms']:.1f}",
            f"{line['onnxruntime']['ms'] / line['openvino']['ms']:.2f}",
            f"{line['onnxruntime']['cpu_ms'] / line['openvino']['cpu_ms']:.2f}",
            f"{100 * line['differing_share']:.3f} %, {line['largest_difference']}/255",
            f"{line['objects'][0]}, {line['objects'][1]}",
        )
        for line in lines
    ]
    measured = CEILING_MEASURED.format(version=pin_of(CEILING).version)
    return f"{measured}\n\n{markdown_table(header, rows)}"
