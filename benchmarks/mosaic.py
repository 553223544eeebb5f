"""Quality of a large image: one mosaic of all validation images of a prepared data set, answered by the service.

A large image is normalised as a whole and answered in windows. A mosaic of labelled images shows both at work: its
parts are of several kinds, and each is scored alone, as a file of its own, and within the mosaic. In the first mosaic
each part is stretched to the full range before, as it is when it is alone, so that what is left is the windows and
what the parts do to each other at their borders. In the second one the parts are as they are stored: the stretch of the
whole then suits none of them.

    python -m benchmarks.mosaic data/dsb2018
"""

import argparse
import asyncio
import io
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from benchmarks.machine import describe
from benchmarks.quality import serving

from monolayer_client.async_client import AsyncClient
from monolayer_core.levels import count_levels
from monolayer_core.metrics import ImageScores, score_image
from monolayer_core.normalization import normalize
from monolayer_core.row_source import ArrayRows
from monolayer_service.settings import SHIPPED_BUNDLES, Settings
from monolayer_service.telemetry.logs import configure_logging
from monolayer_trainer.dataset import Dataset, Sample

ROWS_PER_STRIP = 64


@dataclass(frozen=True)
class Part:
    """An image, RGB uint8, its labels, and where it lies in the mosaic."""

    kind: str
    path: Path
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    place: tuple[slice, slice]


def main() -> None:
    arguments = parse_arguments()
    configure_logging(Settings(log_level="warning", log_format="console"))
    dataset = Dataset.load(arguments.data)
    parts = list(lay_out(dataset, dataset.subset("validation"), arguments.width))
    report = asyncio.run(measure(parts, arguments.models, arguments.model, arguments.precision))
    print(report)
    if arguments.output:
        arguments.output.write_text(report, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a prepared data set")
    parser.add_argument("--model", default="nuclei", help="bundle that answers")
    parser.add_argument("--models", type=Path, default=SHIPPED_BUNDLES, help="folder of bundles")
    parser.add_argument("--precision", choices=("auto", "float32", "int8"), default="auto")
    parser.add_argument("--width", type=int, default=4096, help="of the mosaic in pixels")
    parser.add_argument("--output", type=Path, help="write the table to this file too")
    return parser.parse_args()


def lay_out(dataset: Dataset, samples: Sequence[Sample], width: int) -> Iterator[Part]:
    """Lay images in rows, high ones first; those that are wider than the mosaic are left out."""
    images = [(sample, *dataset.read(sample)[:2]) for sample in samples]
    top = left = row_height = 0
    for sample, pixels, labels in sorted(images, key=lambda image: -image[1].shape[0]):
        height, across = pixels.shape[:2]
        if across > width:
            continue
        if left + across > width:
            top, left, row_height = top + row_height, 0, 0
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)
        place = (slice(top, top + height), slice(left, left + across))
        yield Part(sample.modality, dataset.folder / sample.image, rgb, labels, place)
        left, row_height = left + across, max(row_height, height)


async def measure(parts: Sequence[Part], models: Path, model: str, precision: str) -> str:
    """Score the parts alone and in both mosaics, and write the table."""
    ways: dict[str, list[ImageScores]] = {}
    wholes: dict[str, ImageScores] = {}
    async with serving(models, precision) as client:
        ways["alone"] = []
        for part in parts:
            result = await client.segment(part.path, model=model, method="unet", fallback="never")
            ways["alone"].append(score_image(part.labels, result.labels()))
        for name, is_stretched in (("stretched to one range", True), ("as stored", False)):
            ways[name], wholes[name] = await score_mosaic(client, parts, model, is_stretched=is_stretched)
    return render(parts, ways, wholes)


async def score_mosaic(
    client: AsyncClient, parts: Sequence[Part], model: str, *, is_stretched: bool
) -> tuple[list[ImageScores], ImageScores]:
    """Score each part within the mosaic, and the mosaic as one image."""
    height, width = size_of(parts)
    mosaic = np.zeros((height, width, 3), dtype=np.uint8)
    truth = np.zeros((height, width), dtype=np.int32)
    count = 0
    for part in parts:
        mosaic[part.place] = normalize(part.pixels) if is_stretched else part.pixels
        truth[part.place] = np.where(part.labels > 0, part.labels + count, 0)
        count += int(part.labels.max(initial=0))
    stream = io.BytesIO()
    tifffile.imwrite(stream, mosaic, photometric="rgb", compression="zlib", rowsperstrip=ROWS_PER_STRIP)
    result = await client.segment(stream.getvalue(), model=model, method="unet", fallback="never")
    found = result.labels()
    return [score_image(part.labels, found[part.place]) for part in parts], score_image(truth, found)


def size_of(parts: Sequence[Part]) -> tuple[int, int]:
    """Height and width of the mosaic."""
    return max(part.place[0].stop for part in parts), max(part.place[1].stop for part in parts)


def render(parts: Sequence[Part], ways: dict[str, list[ImageScores]], wholes: dict[str, ImageScores]) -> str:
    height, width = size_of(parts)
    kinds = defaultdict(list)
    for number, part in enumerate(parts):
        kinds["all"].append(number)
        kinds[part.kind].append(number)
    filled = sum(part.labels.size for part in parts) / (height * width)
    spread = [count_levels(ArrayRows(part.pixels)).maximum for part in parts]
    lines = [
        describe(),
        "",
        f"{len(parts)} images in a mosaic of {height} by {width} pixels, {100 * filled:.0f} % filled.",
        f"The brightest value of a part is {min(spread):.0f} to {max(spread):.0f}. Mean Kaggle score of the parts:",
        "",
        f"| kind | images | {' | '.join(ways)} |",
        f"| --- | --- | {' | '.join('---' for _ in ways)} |",
    ]
    for kind, numbers in kinds.items():
        means = [statistics.mean(scores[number].kaggle_score for number in numbers) for scores in ways.values()]
        lines.append(f"| {kind} | {len(numbers)} | {' | '.join(f'{mean:.3f}' for mean in means)} |")
    whole = " | ".join(["", *(f"{scores.kaggle_score:.3f}" for scores in wholes.values())])
    return "\n".join([*lines, f"| the mosaic as one image | 1 |{whole} |", ""])


if __name__ == "__main__":
    main()
