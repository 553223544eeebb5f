"""Frames put together from the nuclei of an example, so that it is known how many there are: a time lapse and a plate.

What is made up is the number of nuclei and where they lie. They themselves are real, and so are the answers.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monolayer_client.client import Client
from monolayer_core.image_io import decode_image, encode_png

Grey = npt.NDArray[np.uint8]
Nucleus = tuple[Grey, npt.NDArray[np.bool_]]
"""Pixels of its box, and which of them belong to it."""

SIDE_PX, CELL_PX = 384, 48
"""Side of a frame, and of the squares that hold a nucleus each."""

DOUBLING_HOURS = {"A1": 12.0, "A2": 20.0}
FIRST_COUNT = 6
HOURS = range(0, 34, 3)
DOSES = {"control": 40, "1 µM": 32, "3 µM": 20, "10 µM": 8}
"""Nuclei in a field of each condition of the plate; a condition fills a row."""


def cut_nuclei(client: Client, example: Path) -> list[Nucleus]:
    """Cut whole nuclei of middle size out of an example: the pixels of their boxes, and which of them are nucleus."""
    pixels = decode_image(example.read_bytes()).pixels
    grey = pixels if pixels.ndim == 2 else pixels[..., 1]
    found = client.segment(example, exclude_border=True)
    labels, boxes = found.labels(), [(each.id, each.bbox, each.area_px) for each in found.instances]
    nuclei = []
    for label, box, area_px in boxes:
        place = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        if max(box.height, box.width) < CELL_PX - 4 and area_px > 400:
            nuclei.append((grey[place], labels[place] == label))
    return nuclei


def make_frame(nuclei: list[Nucleus], count: int, seed: int) -> bytes:
    """Draw a PNG with `count` nuclei in places by chance, none over another."""
    random = np.random.default_rng(seed)
    frame = random.normal(9, 1.5, (SIDE_PX, SIDE_PX)).clip(0, 255).astype(np.uint8)
    across = SIDE_PX // CELL_PX
    for place in random.permutation(across**2)[:count]:
        pixels, mask = nuclei[random.integers(len(nuclei))]
        room = np.array([CELL_PX, CELL_PX]) - mask.shape
        y, x = np.array(divmod(int(place), across)) * CELL_PX + random.integers(0, room + 1)
        frame[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = pixels[mask]
    return encode_png(frame)


def time_lapse(nuclei: list[Nucleus]) -> Iterator[tuple[str, bytes]]:
    """Give frames of two wells by name: nuclei double in `DOUBLING_HOURS`."""
    for well, doubling_hours in DOUBLING_HOURS.items():
        for hour in HOURS:
            count = round(FIRST_COUNT * 2 ** (hour / doubling_hours))
            yield f"{well}_{hour // 24:02}d{hour % 24:02}h00m.png", make_frame(nuclei, count, hour)


def plate(nuclei: list[Nucleus]) -> Iterator[tuple[str, bytes]]:
    """Give one field of each of 24 wells by name: a row a condition, with some spread between wells."""
    random = np.random.default_rng(0)
    for row, count in zip("ABCD", DOSES.values(), strict=True):
        for column in range(1, 7):
            yield f"{row}{column:02}_f1.png", make_frame(nuclei, count + int(random.integers(-4, 5)), column * count)


def plate_map() -> str:
    """Give the table of conditions by well."""
    wells = [f"{row}{column:02},{dose}" for row, dose in zip("ABCD", DOSES, strict=True) for column in range(1, 7)]
    return "\n".join(["well,condition", *wells, ""])
