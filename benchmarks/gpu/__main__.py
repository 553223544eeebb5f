"""The service and its network on a GPU: bare runs, transfers, agreement with a CPU, requests, memory, other options.

    python -m benchmarks.gpu --output benchmarks/results       what `make bench-gpu` runs; gpu.md and gpu.png
    python -m benchmarks.gpu --device cpu --seconds 5          the same code on a processor, to try it

Half precision is measured where `--float16-bundle` names a copy of the bundle with that file:

    monolayer-export --quantize COPY --fp16 --no-int8 --calibration-images examples
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmarks.gpu import bare, choices, report
from benchmarks.gpu.agreement import answer, compare, read_images, worst_of
from benchmarks.gpu.bare import SWEEP, Shape
from benchmarks.gpu.device import Candidate, cuda_problem, describe_device
from benchmarks.gpu.served import CASES, Case, alone_in_folder, measure_service
from benchmarks.machine import describe
from benchmarks.pictures import encode_mosaic, read_picture
from benchmarks.places import EXAMPLES, NUCLEI
from benchmarks.shapes import posts_of_shapes

from monolayer_core.errors import MonolayerError
from monolayer_service.segmenters.session import Network

PARTS = ("bare", "transfer", "agreement", "served", "turns", "options", "half", "batches")

SERVED_BATCH = 1
"""Tiles in a run of the service, unless a setting says otherwise."""

BATCHED_CASES = (Case(256, 8), Case(256, 32), Case(1024, 32))

BATCHINGS = ((8, 3), (16, 3), (8, 0))
"""Largest batches, and milliseconds a tile waits for others."""

BARE_SHARE = 0.35
"""Of the time, what bare runs may take."""


class Bench:
    """What the parts share: pictures, networks, and how long each figure is measured."""

    def __init__(self, arguments: argparse.Namespace, is_late: Callable[[float], bool]) -> None:
        self.is_late = is_late
        self.device = arguments.device
        self.start_seconds = arguments.start_seconds
        self.figure_seconds = arguments.seconds / 400
        self.case_seconds = arguments.seconds / 80
        self.shape_count = arguments.shapes
        self.images = arguments.images
        self.sides = tuple(side for side in (256, 1024) if side <= arguments.largest_side)
        self.largest_batch = arguments.largest_batch
        self.picture: npt.NDArray[np.uint8] = read_picture(EXAMPLES / "fluorescence_tissue.png")
        self.pngs = {side: encode_mosaic(self.picture, side) for side in self.sides}
        self.float32 = Candidate("float32", NUCLEI, "float32")
        self.half: Candidate | None = None
        candidates = [self.float32, Candidate("TF32", NUCLEI, "float32", tf32=True)]
        if arguments.float16_bundle is not None:
            self.half = Candidate("float16", arguments.float16_bundle, "float16")
            candidates.append(self.half)
        self.candidates = candidates
        self.rates: dict[tuple[str, int], float] = {}
        self.bars: dict[str, dict[str, float]] = {}
        self._networks: dict[str, Network] = {}

    def shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Those that are not too large."""
        return [shape for shape in shapes if shape.side <= max(self.sides) and shape.batch <= self.largest_batch]

    def cases(self, cases: Sequence[Case]) -> list[Case]:
        """Those that are not too large."""
        return [case for case in cases if case.side in self.sides]

    def network(self, candidate: Candidate) -> Network:
        """Opened when it is first needed, so that one that cannot be opened fails the part that needs it."""
        if candidate.name not in self._networks:
            self._networks[candidate.name] = candidate.open(self.device)
        return self._networks[candidate.name]

    def openable(self) -> dict[str, Network]:
        """The networks that can be opened; why another cannot is printed."""
        networks = {}
        for candidate in self.candidates:
            try:
                networks[candidate.name] = self.network(candidate)
            except (MonolayerError, OSError, RuntimeError) as error:
                print(f"{candidate.name} is left out: {error}", flush=True)
        return networks

    def close(self) -> None:
        """Let go of the networks, so that the service has the device's memory to itself."""
        self._networks.clear()

    def measure_bare(self) -> str:
        networks, shapes = self.openable(), self.shapes(SWEEP)
        found = bare.sweep(networks, self.picture, shapes, self.figure_seconds, lambda: self.is_late(BARE_SHARE))
        for (name, shape), milliseconds in found.items():
            if shape.batch == SERVED_BATCH:
                self.rates[name, shape.side] = report.rate(shape, milliseconds)
        for name in networks:
            timed = {shape: found[name, shape] for shape in shapes if (name, shape) in found}
            self.bars[f"bare, {name}"] = {str(shape): report.rate(shape, timed[shape]) for shape in timed}
        return report.bare_table(found)

    def measure_transfer(self) -> str:
        shapes = self.shapes([Shape(256, 1), Shape(256, 8), Shape(1024, 1)])
        found = {
            (name, shape): bare.measure_transfer(network, self.picture, shape, self.device, self.figure_seconds)
            for name, network in self.openable().items()
            for shape in shapes
        }
        return (
            "What binding to buffers of the device would spare at most, if copying into and out of them were free.\n\n"
            + report.transfer_table(found)
        )

    def measure_agreement(self) -> str:
        reference = self.float32.open("cpu")
        images = dict(list(read_images(EXAMPLES, reference.card).items())[: self.images])
        expected = {name: answer(reference, image) for name, image in images.items()}
        networks = self.openable()
        runs = {(name, 1): network for name, network in networks.items()}
        runs["float32", min(8, self.largest_batch)] = self.network(self.float32)
        found = {}
        for (name, batch), network in runs.items():
            apart = [
                compare(image, reference.card, expected[key], answer(network, image, batch))
                for key, image in images.items()
            ]
            found[name if batch == 1 else f"{name}, batches of {batch}"] = worst_of(apart)
        return report.agreement_table(found)

    def measure_served(self, candidate: Candidate, *, shipped: bool) -> str:
        """Requests, and for the shipped bundles together the start and the memory too."""
        self.close()
        environment = candidate.environment(self.device)
        rates = {side: self.rates[candidate.name, side] for side in self.sides if (candidate.name, side) in self.rates}

        posts = posts_of_shapes(self.picture, self.shape_count, self.shape_count // 20) if shipped else []
        with alone_in_folder(candidate.bundle) as folder:
            found = measure_service(
                environment if shipped else environment | {"MONOLAYER_MODELS": str(folder)},
                self.pngs,
                self.cases(CASES if shipped else [case for case in CASES if case.clients > 1]),
                device=self.device,
                seconds=self.case_seconds,
                start_seconds=self.start_seconds,
                shapes=posts,
            )
        self.bars[f"served, {candidate.name}"] = {
            str(case): served.outcome.requests_per_second * case.megapixels for case, served in found.cases.items()
        }
        bundles = "the three shipped bundles" if shipped else "this bundle alone"
        return "\n\n".join(
            [
                f"Start to ready with {bundles}: {found.ready_seconds:.1f} s, on {found.provider}.",
                report.served_table(found, rates),
                report.fault_line(found),
                report.stage_table(found.cases),
                report.memory_table(found),
            ]
        )

    def measure_turns(self) -> str:
        shapes = Shape(256, 1), Shape(256, min(8, self.largest_batch))
        apart, together = bare.measure_turns(self.network(self.float32), self.picture, shapes, self.figure_seconds)
        return (
            f"Runs of {shapes[0]} and {shapes[1]} that take turns: {apart:.2f} ms for both in a session each (as "
            f"served), {together:.2f} ms in one session."
        )

    def measure_options(self) -> str:
        network = self.network(self.float32)
        reference = self.float32.open("cpu")
        found: dict[tuple[str, Shape], choices.Choice | str] = {}
        settings = [(self.float32, network, name, changes) for name, changes in choices.CHOICES.items()]
        if self.half is not None:
            halves = {"float16": {}, "float16, `prefer_nhwc` 1": {"prefer_nhwc": "1"}}
            settings += [(self.half, self.network(self.half), name, changes) for name, changes in halves.items()]
        for shape in self.shapes([Shape(256, 1), Shape(512, 1), Shape(1024, 1)]):
            tiles = bare.make_tiles(self.picture, reference, shape)
            expected = np.concatenate([reference.run(tile[np.newaxis]) for tile in tiles])
            for candidate, opened, name, changes in settings:
                if self.is_late(1):
                    break
                files = opened.card.files_of(candidate.precision)
                try:
                    found[name, shape] = choices.try_choice(
                        opened,
                        (candidate.bundle / (files or ("",))[0]).read_bytes(),
                        changes,
                        self.picture,
                        shape,
                        device=self.device,
                        reference=expected,
                        seconds=self.figure_seconds,
                    )
                except Exception as error:  # noqa: BLE001 - an option may be unknown to this ONNX Runtime
                    found[name, shape] = " ".join(str(error).split())[:200]
                print(report.choice_table({(name, shape): found[name, shape]}), flush=True)
        return report.choice_table(found)

    def measure_batches(self) -> str:
        self.close()
        texts = []
        cases = self.cases(BATCHED_CASES)
        rates = {side: self.rates["float32", side] for side in self.sides if ("float32", side) in self.rates}
        with alone_in_folder(NUCLEI) as folder:
            for size, wait_ms in BATCHINGS:
                if self.is_late(1):
                    texts.append("No time was left for more.")
                    break
                found = measure_service(
                    self.float32.environment(self.device)
                    | {
                        "MONOLAYER_MODELS": str(folder),
                        "MONOLAYER_BATCH_SIZE": str(size),
                        "MONOLAYER_BATCH_WAIT_MS": str(wait_ms),
                    },
                    self.pngs,
                    cases,
                    device=self.device,
                    seconds=self.case_seconds,
                    start_seconds=self.start_seconds,
                )
                title = f"`MONOLAYER_BATCH_SIZE={size}`, `MONOLAYER_BATCH_WAIT_MS={wait_ms}`"
                texts.append(f"{title}, ready after {found.ready_seconds:.1f} s:")
                texts += [report.served_table(found, rates), report.fault_line(found)]
                print("\n\n".join(texts[-3:]), flush=True)
        return "\n\n".join(texts)


def main(given: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; the exit status: 1 where a part failed, 2 where CUDA does not work."""
    arguments = parse_arguments(given)
    head = f"# The service on a GPU\n\n{describe()}  \n{describe_device(arguments.device)}"
    output: Path | None = arguments.output
    document = report.Report(head, output / "gpu.md" if output else None, arguments.seconds)
    bench = Bench(arguments, document.is_late)
    if arguments.device == "cuda" and (problem := cuda_problem(bench.float32)) is not None:
        print(
            f"CUDA does not work here: {problem}\n`--device cpu` tries the same code on a processor.", file=sys.stderr
        )
        return 2
    print(head, flush=True)
    half = bench.half
    parts = {
        "bare": ("Bare runs", bench.measure_bare),
        "transfer": ("Transfer between host and device", bench.measure_transfer),
        "agreement": ("Agreement with float32 on a CPU", bench.measure_agreement),
        "served": ("Served in float32", lambda: bench.measure_served(bench.float32, shipped=True)),
        "turns": ("Batches of two sizes", bench.measure_turns),
        "options": ("Other options of the CUDA provider", bench.measure_options),
        "half": ("Served in float16", lambda: bench.measure_served(half, shipped=False) if half else "No file of it."),
        "batches": ("Sizes of batches, and waiting for them", bench.measure_batches),
    }
    for name, (title, measure) in parts.items():
        if name in arguments.only:
            document.attempt(title, measure)
    if output is not None and bench.bars:
        document.attempt("Plot", lambda: draw(bench.bars, output / "gpu.png"), always=True)
    if document.failed:
        print(f"failed: {', '.join(document.failed)}", file=sys.stderr)
    return 1 if document.failed else 0


def draw(bars: dict[str, dict[str, float]], path: Path) -> str:
    """Megapixels a second by run or case, one row of bars for each network."""
    try:
        from benchmarks.charts import draw_bars
    except ModuleNotFoundError as error:
        return f"None: {error}."

    draw_bars(bars, dict.fromkeys(bars, "Mpx/s"), path)
    return f"![Megapixels a second of bare runs and of requests]({path.name})"


def parse_arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the document")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu only tries the code")
    parser.add_argument(
        "--seconds", type=float, default=100, help="time for everything; no part is begun later, rounds scale with it"
    )
    parser.add_argument("--float16-bundle", type=Path, help="a copy of the nuclei bundle with a half-precision file")
    parser.add_argument("--shapes", type=int, default=200, help="shapes of images posted twice for the memory")
    parser.add_argument("--images", type=int, default=100, help="most images to compare the answers of")
    parser.add_argument("--largest-batch", type=int, default=32, help="of bare runs")
    parser.add_argument("--largest-side", type=int, default=1024, help="of tiles and images in pixels")
    parser.add_argument("--start-seconds", type=float, default=60, help="how long a service may take to be ready")
    parser.add_argument("--output", type=Path, help="folder for the document and the plot")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
