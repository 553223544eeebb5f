"""Images on which an export is tried out: real ones where they can be had, made-up texture elsewhere.

A network looks less or further around itself depending on the picture: how wide a halo must be can only be told from
images like those it is meant for.
"""

import csv
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8
from monolayer_core.errors import ImageError
from monolayer_core.image_io import decode_image
from monolayer_core.input_scale import shrink
from monolayer_core.model_card import ModelCard
from monolayer_core.normalization import normalize
from monolayer_core.pipeline import SegmentOptions, prepare
from monolayer_core.tiling import plan_tiles, read_tile
from monolayer_export.errors import ExportError

MAX_FILES = 64
"""Files that are opened, spread evenly over those there are."""

MAX_IMAGES = 8
"""Images that are used."""

MAX_SIDE = 1024
"""Larger images are cropped, in pixels: sixteen tiles of 256, and a network can still see the whole at once."""

SYNTHETIC_SIDE = 768
"""Height and width of synthetic images, in pixels, where tiles are not larger."""

PROVENANCE_NAME = "provenance.json"
DATASET_NAME = "dataset.json"
SPLIT_NAME = "split.csv"

Item = TypeVar("Item")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialImages:
    """Normalised images ``(y, x, channel)`` as the network gets them, and in words where they are from."""

    images: tuple[ImageUInt8, ...]
    origin: str


def gather_images(run: Path, card: ModelCard, folder: Path | None = None) -> TrialImages:
    """Find images to try the network on, larger than its smallest tile.

    Parameters
    ----------
    run
        Folder of the training run. Where it says which prepared data set it comes from, the images of that are
        used when `folder` is not given.
    card
        Says how images become the network's input.
    folder
        A prepared data set, of which the validation images are used (all where none is held out), or any folder of
        images.

    Returns
    -------
    TrialImages
        Real images where there are any; those no larger than a tile are laid side by side when all are. Otherwise
        synthetic texture, which the log says.

    Raises
    ------
    ExportError
        `folder` was given and holds no image that can be read.
    """
    paths = _paths(folder) if folder else _paths_of_run(run)
    side = card.tile_sides[0]
    images = list(_read(evenly_spaced(paths, MAX_FILES), card))
    if not images and folder:
        raise ExportError(f"{folder} holds no image that can be read")
    if not images:
        log.warning("no images at hand: the network is tried on synthetic texture (--images names real ones)")
        texture = synthetic_images(card.channel_count, side=max(SYNTHETIC_SIDE, 2 * side))
        return TrialImages(tuple(texture), "synthetic texture")
    larger = [image for image in images if max(image.shape[:2]) > side]
    if larger:
        chosen = evenly_spaced(larger, MAX_IMAGES)
        return TrialImages(tuple(chosen), f"real images: {len(chosen)}")
    log.info("no image is larger than a tile of %d pixels: they are laid side by side", side)
    return TrialImages((mosaic(images, side),), "real images side by side")


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, spread over the whole sequence.

    Examples
    --------
    >>> evenly_spaced("abcdefg", 3)
    ['a', 'c', 'e']
    """
    step = max(len(items) / max(count, 1), 1.0)
    return [items[int(index * step)] for index in range(min(count, len(items)))]


def square_crop(image: ImageUInt8, side: int) -> ImageUInt8:
    """Cut the upper left square out of an image ``(y, x, channel)``, reflected where the image is smaller."""
    height, width = (min(length, side) for length in image.shape[:2])
    tile = plan_tiles(height, width, sides=[side], halo=0, divisor=1).tiles[0]
    return read_tile(image[:height, :width], tile)


def mosaic(images: Sequence[ImageUInt8], side: int) -> ImageUInt8:
    """Two by two squares of `side` pixels, one from each image in turn."""
    squares = [square_crop(images[index % len(images)], side) for index in range(4)]
    return np.vstack([np.hstack(squares[:2]), np.hstack(squares[2:])])


def synthetic_images(
    channels: int, *, count: int = 2, side: int = SYNTHETIC_SIDE, seed: int = 0
) -> Iterator[ImageUInt8]:
    """Bright discs of cell size on uneven ground, with noise; ``(side, side, channels)``."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        coarse = random.random((side // 64, side // 64), dtype=np.float32)
        picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        for y, x, radius in random.integers((0, 0, 5), (side, side, 20), (side // 4, 3)):
            cv2.circle(picture, (int(x), int(y)), int(radius), float(random.uniform(0.8, 2.0)), thickness=-1)
        picture = cv2.GaussianBlur(picture, (0, 0), 1.5)
        picture = picture[..., np.newaxis] * random.uniform(0.7, 1.0, channels).astype(np.float32)
        yield normalize(picture + random.normal(0.0, 0.05, picture.shape).astype(np.float32))


def _read(paths: Sequence[Path], card: ModelCard) -> Iterator[ImageUInt8]:
    for path in paths:
        try:
            pixels = decode_image(path.read_bytes()).pixels
        except ImageError as error:
            log.warning("%s is left out: %s", path, error)
            continue
        except OSError as error:
            log.warning("%s is left out: it cannot be opened (%s)", path, error.strerror)
            continue
        yield shrink(prepare(pixels, card, SegmentOptions()), card.input_scale)[:MAX_SIDE, :MAX_SIDE]


def _paths(folder: Path) -> list[Path]:
    if (folder / DATASET_NAME).is_file():
        return _trial_paths(folder)
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _paths_of_run(run: Path) -> list[Path]:
    try:
        return _trial_paths(Path(json.loads((run / PROVENANCE_NAME).read_bytes())["dataset_folder"]))
    except (OSError, ValueError, KeyError) as error:
        log.info("the run's data set cannot be read: %s", error)
        return []


def _trial_paths(dataset: Path) -> list[Path]:
    """Images on the validation side of a prepared data set, in the order of their names; all where none is held out.

    Images that were trained on do as well here: the network is compared with itself, not with the truth.
    """
    samples = json.loads((dataset / DATASET_NAME).read_bytes())["samples"]
    with (dataset / SPLIT_NAME).open(newline="", encoding="utf-8") as file:
        held_out = {row["ImageId"] for row in csv.DictReader(file) if row["split"] == "validation"}
    return sorted(dataset / sample["image"] for sample in samples if sample["id"] in held_out or not held_out)
