"""Every step around the network as a share of the network's time.

Images of 256² and 1024² pixels are made of a real example picture and go through the shipped `nuclei` bundle in int8.
Every step is then timed by itself, all of them in turn in each round. What is counted is processor time, so that
another program on the machine changes the shares little; each step runs on one core. The network shares its work among
all cores: its time is its processor time on one core divided by the cores.

    python -m benchmarks.steps              half a minute; writes benchmarks/results/steps.md
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from benchmarks.machine import describe
from benchmarks.pictures import encode_mosaic
from benchmarks.places import ROOT

from monolayer_core.arrays import TileBatch
from monolayer_core.confluency_uncertainty import uncertain_percent
from monolayer_core.distance_seeds import seeds_from_distance
from monolayer_core.image_io import Image, decode_image
from monolayer_core.instances import drop_faint, drop_small, fill_holes, foreground_mask, seeds_from_map
from monolayer_core.likeness import distance_from_training
from monolayer_core.measure import measure
from monolayer_core.model_card import INT8_MODEL_NAME, ModelCard, read_card
from monolayer_core.object_score import describe_objects
from monolayer_core.output_planes import split_outputs
from monolayer_core.pipeline import Segmentation, interpret, prepare
from monolayer_core.prediction import predict_probabilities
from monolayer_core.quality import assess_quality
from monolayer_core.rle import encode_coco, encode_kaggle
from monolayer_core.row_runs import find_row_runs
from monolayer_core.row_source import ArrayRows
from monolayer_core.splitting import split_by_seeds
from monolayer_service.analysis import Analysis, NamedImage
from monolayer_service.cancellation import Cancellation
from monolayer_service.forms import render_confluency, render_segmentation
from monolayer_service.options import Options
from monolayer_service.segmenters.base import ModelUse

SIDES = (256, 1024)
MANY_OBJECTS = 5000

Result = TypeVar("Result")


class StopWatch:
    """Milliseconds of processor time of each step, round after round."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[float]] = {}

    def time(self, step: str, work: Callable[[], Result]) -> Result:
        began = time.process_time()
        result = work()
        self.rounds.setdefault(step, []).append(1000 * (time.process_time() - began))
        return result

    def medians(self) -> dict[str, float]:
        """Median of each step without its first round, which warms up."""
        return {step: statistics.median(times[1:] or times) for step, times in self.rounds.items()}


def main() -> None:
    arguments = parse_arguments()
    cv2.setNumThreads(1)
    picture = cv2.imread(str(arguments.image), cv2.IMREAD_COLOR)
    if picture is None:
        sys.exit(f"{arguments.image} cannot be read")
    card = read_card(arguments.bundle)
    network = open_network(arguments.bundle / INT8_MODEL_NAME)
    columns = {}
    for side in SIDES:
        watch = StopWatch()
        for _ in range(arguments.rounds + 1):
            count = one_round(watch, encode_mosaic(picture, side), card, network)
        columns[f"{side}², {count} objects"] = watch.medians()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    report = "\n\n".join(
        [
            "# Steps around the network",
            describe(),
            f"Milliseconds of processor time, and the share of the network's (int8, {cores} cores); medians.",
            render(columns, cores),
            "In brackets: only where a caller or a card asks for it. In italics: what several steps make up.",
            "## JSON of many objects",
            time_many_objects(arguments.rounds),
        ]
    )
    print(report)
    arguments.output.write_text(report + "\n", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=ROOT / "examples" / "fluorescence_touching.png")
    parser.add_argument("--bundle", type=Path, default=ROOT / "service/monolayer_service/bundles/nuclei")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/steps.md")
    return parser.parse_args()


def open_network(path: Path) -> Callable[[TileBatch], TileBatch]:
    """The network on one core, so that nothing waits for another thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda tiles: session.run(None, {"image": tiles})[0]


def one_round(watch: StopWatch, png: bytes, card: ModelCard, network: Callable[[TileBatch], TileBatch]) -> int:
    """Take one image through every step; give the number of objects."""
    limits = card.thresholds
    pixels = watch.time("decode PNG", lambda: decode_image(png)).pixels
    image = watch.time("normalise", lambda: prepare(pixels, card))
    answer = watch.time("**network**", lambda: predict_probabilities(image, card, network))
    planes = watch.time("tell outputs apart", lambda: split_outputs(answer, card))
    raw = foreground_mask(planes.foreground, threshold=limits.foreground)
    mask = watch.time("fill holes", lambda: fill_holes(raw, limits.max_hole_area_px))
    seeds = watch.time(
        "seeds from the map",
        lambda: seeds_from_map(planes.seed_map, mask, limits.seed, min_area_px=limits.min_seed_area_px),
    )
    watch.time("(seeds from the distance)", lambda: seeds_from_distance(mask))
    split = watch.time("split", lambda: split_by_seeds(mask, seeds))
    pieces = watch.time("horizontal runs", lambda: find_row_runs(split))
    sure = watch.time("drop faint objects", lambda: drop_faint(pieces, planes.foreground, limits.min_score))
    runs = watch.time("drop small objects", lambda: drop_small(sure, limits.min_area_px))
    labels = watch.time("labels of objects", runs.paint)
    watch.time("scores", lambda: describe_objects(labels, runs, planes.foreground, planes.boundary))
    watch.time("uncertainty", lambda: uncertain_percent(planes.foreground))
    if (likeness := card.likeness) is not None:
        watch.time("likeness", lambda: distance_from_training(image, likeness))
    watch.time("quality flags", lambda: assess_quality(ArrayRows(pixels)))
    watch.time("measure", lambda: measure(labels))
    watch.time("(measure intensity, solidity)", lambda: measure(labels, pixels, solidity=True))
    watch.time("run lengths, Kaggle", lambda: encode_kaggle(labels))
    watch.time("(run lengths, COCO)", lambda: encode_coco(labels))
    found = watch.time("*probabilities to objects*", lambda: interpret(answer, card, image=image))
    watch.time("*the same without scores*", lambda: interpret(answer, card, image=image, with_scores=False))
    analysis = analysis_of(pixels, found)
    watch.time("*body of /v1/segment*", lambda: render_segmentation(analysis, Options(), "json", Cancellation()))
    watch.time("*body of /v1/confluency*", lambda: render_confluency(analysis, Options()))
    return len(found.class_ids)


def analysis_of(pixels: npt.NDArray[np.uint8], found: Segmentation) -> Analysis:
    source = NamedImage(Image(ArrayRows(pixels), "png", 0.5), "image", "0" * 64)
    return Analysis(source, found, ModelUse("nuclei", "1", "0" * 64, "CPUExecutionProvider"), None, "nucleus")


def time_many_objects(rounds: int) -> str:
    """Write the answer for an image of thousands of discs, with run lengths and the default measurements."""
    radius, step = 9, 24
    across = round(MANY_OBJECTS**0.5)
    y, x = np.mgrid[: across * step, : across * step]
    is_inside = (y % step - step // 2) ** 2 + (x % step - step // 2) ** 2 <= radius**2
    labels = np.where(is_inside, y // step * across + x // step + 1, 0).astype(np.int32)
    pixels = np.random.default_rng(0).integers(0, 256, labels.shape, dtype=np.uint8)
    count = int(labels.max())
    found = Segmentation(
        runs=find_row_runs(labels),
        class_ids=np.zeros(count, dtype=np.int64),
        class_names=("nucleus",),
        scores=np.random.default_rng(0).random(count),
        confluency_percent=float(100 * is_inside.mean()),
        method="unet",
    )
    analysis = analysis_of(pixels, found)
    empty = replace(found, runs=find_row_runs(np.zeros_like(labels)), class_ids=found.class_ids[:0], scores=None)
    watch = StopWatch()
    for _ in range(rounds + 1):
        body = watch.time("the answer", lambda: render_segmentation(analysis, Options(), "json", Cancellation()))
        watch.time("of that measuring", lambda: measure(labels, pixel_size_um=0.5))
        watch.time("of that run lengths", lambda: encode_kaggle(labels))
        watch.time(
            "the answer without objects (quality flags)",
            lambda: render_confluency(analysis_of(pixels, empty), Options()),
        )
    title = f"{count} objects of {labels.shape[0]}² pixels, {len(body) / 1e6:.1f} MB"
    rows = [f"| {step} | {ms:.1f} |" for step, ms in watch.medians().items()]
    return "\n".join([f"| {title} | ms |", "| --- | --- |", *rows])


def render(columns: dict[str, dict[str, float]], cores: int) -> str:
    lines = [
        "| step | " + " | | ".join(columns) + " | |",
        "| --- |" + " --- | --- |" * len(columns),
    ]
    for step in next(iter(columns.values())):
        cells = []
        for times in columns.values():
            network = times["**network**"] / cores
            ms = network if step == "**network**" else times[step]
            cells.append(f"{ms:.2f} | {100 * ms / network:.1f} %")
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
