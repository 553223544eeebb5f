"""Small data sets that every test of the trainer can make."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from monolayer_trainer.prepare import prepare


def write_discs(folder: Path, count: int, size: tuple[int, int], discs: int) -> None:
    """Write `count` grey images with pairs of touching bright discs, and their label images."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    y, x = np.mgrid[: size[0], : size[1]]
    for index in range(count):
        rng = np.random.default_rng(index)
        labels = np.zeros(size, np.uint16)
        for number in range(0, 2 * discs, 2):
            centre_y, centre_x = rng.uniform(0.1, 0.9, 2) * size
            labels[(y - centre_y) ** 2 + (x - centre_x) ** 2 < 100] = number + 1
            labels[(labels == number + 1) & (x > centre_x)] = number + 2
        cv2.imwrite(str(folder / "images" / f"field{index}.png"), np.where(labels > 0, 200, 10).astype(np.uint8))
        cv2.imwrite(str(folder / "labels" / f"field{index}.png"), labels)


@pytest.fixture(scope="session")
def disc_dataset() -> Callable[..., Path]:
    """Give a function that writes a prepared data set of bright discs, each cut in two touching halves.

    ``disc_dataset(folder, count=6, size=(80, 96), discs=5)`` returns the folder of the data set.
    """

    def make(folder: Path, *, count: int, size: tuple[int, int] = (80, 96), discs: int = 5) -> Path:
        write_discs(folder / "source", count, size, discs)
        prepare(folder / "source", folder / "prepared", kind="labels", classes=("disc",))
        return folder / "prepared"

    return make
