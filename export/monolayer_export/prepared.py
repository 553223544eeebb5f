"""Images of a prepared data set, with what they served for in a training: its files read, nothing imported.

The networks of lower precision take their ranges from images that were trained on, and are compared with the float32
one on images that thresholds were chosen on. The images held out of training decide nothing here either.
"""

import csv
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from monolayer_core.arrays import ImageUInt8, LabelImage, Pixels
from monolayer_core.errors import ImageError
from monolayer_core.image_io import decode_image
from monolayer_core.input_scale import shrink
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import prepare
from monolayer_export.errors import ExportError
from monolayer_export.images import DATASET_NAME, PROVENANCE_NAME, SPLIT_NAME, evenly_spaced, square_crop

USES_NAME = "images.csv"

Use = Literal["training", "tuning", "unlabelled"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedImage:
    """An image file and its label image, None where there is none."""

    image: Path
    labels: Path | None
    modality: str
    use: Use


@dataclass(frozen=True, eq=False)
class Example:
    """Pixels as decoded, and int32 labels ``(y, x)`` where there are any."""

    pixels: Pixels
    labels: LabelImage | None


def images_of_run(run: Path) -> list[PreparedImage]:
    """Give the images that a run was trained and tuned on; none where the run or its data set does not say."""
    try:
        dataset = Path(json.loads((run / PROVENANCE_NAME).read_bytes())["dataset_folder"])
        uses = {row["ImageId"]: row["use"] for row in _rows(run / USES_NAME)}
        return _images(dataset, {name: "tuning" if use == "tuning" else "training" for name, use in uses.items()})
    except (OSError, ValueError, KeyError) as error:
        log.info("the run's training images cannot be read: %s", error)
        return []


def images_of_folder(folder: Path) -> list[PreparedImage]:
    """Give the training side of a prepared data set, or all files of another folder as images without labels.

    Raises
    ------
    ExportError
        The prepared data set is damaged.
    """
    if not (folder / DATASET_NAME).is_file():
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return [PreparedImage(path, None, "", "unlabelled") for path in files]
    try:
        return _images(
            folder, {row["ImageId"]: "training" for row in _rows(folder / SPLIT_NAME) if row["split"] == "train"}
        )
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"{folder} is no valid data set: {error}") from error


def spread(images: Sequence[PreparedImage], count: int) -> list[PreparedImage]:
    """At most `count` images, as many of each modality as there are, evenly spaced within it.

    What a rare modality does not have goes to the others.
    """
    kinds: dict[str, list[PreparedImage]] = {}
    for image in images:
        kinds.setdefault(image.modality, []).append(image)
    chosen: list[PreparedImage] = []
    for left, kind in zip(range(len(kinds), 0, -1), sorted(kinds.values(), key=len), strict=True):
        chosen += evenly_spaced(kind, (count - len(chosen)) // left)
    return chosen


def read_examples(images: Sequence[PreparedImage]) -> Iterator[Example]:
    """Decode images and labels one after the other; those that cannot be read are left out, which the log says."""
    for image in images:
        try:
            pixels = decode_image(image.image.read_bytes()).pixels
            labels = decode_image(image.labels.read_bytes()).pixels.astype(np.int32) if image.labels else None
        except ImageError as error:
            log.warning("%s is left out: %s", image.image, error)
            continue
        except OSError as error:
            log.warning("%s is left out: it cannot be opened (%s)", image.image, error.strerror)
            continue
        if labels is not None and labels.shape != pixels.shape[:2]:
            log.warning("%s is left out: its labels measure %s (y, x)", image.image, labels.shape)
            continue
        yield Example(pixels, labels)


def cut_tiles(images: Sequence[PreparedImage], card: ModelCard, *, seed: int = 0) -> list[ImageUInt8]:
    """One tile of the card's smallest side from a random place of each image, normalised as the network sees it.

    Images smaller than a tile are reflected.
    """
    random = np.random.default_rng(seed)
    side = card.tile_sides[0]
    tiles = []
    for example in read_examples(images):
        image = shrink(prepare(example.pixels, card), card.input_scale)
        y, x = (int(random.integers(0, max(length - side, 0) + 1)) for length in image.shape[:2])
        tiles.append(square_crop(image[y:, x:], side))
    return tiles


def _images(dataset: Path, uses: dict[str, Use]) -> list[PreparedImage]:
    """Give the samples of a data set that have a use, in the order of their names."""
    samples = json.loads((dataset / DATASET_NAME).read_bytes())["samples"]
    return [
        PreparedImage(
            dataset / sample["image"], dataset / sample["labels"], sample.get("modality", ""), uses[sample["id"]]
        )
        for sample in sorted(samples, key=lambda sample: str(sample["id"]))
        if sample["id"] in uses
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
