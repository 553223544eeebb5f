"""One picture that shows what was prepared: samples with the outlines of their objects, for a person to check."""

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8, Pixels
from monolayer_core.normalization import normalize
from monolayer_trainer.dataset import SPLIT_NAME, Dataset, Sample, read_split

COLUMNS = 6
MAX_SAMPLES = 24
CELL_SIDE = 256
CAPTION_HEIGHT = 34
OUTLINE = (255, 210, 0)


def draw_contact_sheet(dataset: Dataset) -> ImageUInt8:
    """Draw up to 24 samples, taken evenly from the modalities; uint8 RGB ``(y, x, 3)``."""
    chosen = _choose(dataset.samples)
    rows = -(-len(chosen) // COLUMNS)
    height = CELL_SIDE + CAPTION_HEIGHT
    sheet = np.full((rows * height, COLUMNS * CELL_SIDE, 3), 24, np.uint8)
    side_of = read_split(dataset.folder / SPLIT_NAME)
    for i, sample in enumerate(chosen):
        y, x = i // COLUMNS * height, i % COLUMNS * CELL_SIDE
        picture = _draw(dataset, sample)
        sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        lines = (sample.id[:30], f"{sample.modality[:20]}, {sample.objects} objects, {side_of[sample.id]}")
        for line, text in enumerate(lines):
            place = (x + 4, y + CELL_SIDE + 13 + 14 * line)
            cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (230, 230, 230), 1, cv2.LINE_AA)
    return sheet


def _choose(samples: tuple[Sample, ...]) -> list[Sample]:
    """Round robin over the modalities, evenly spaced within each."""
    kinds: dict[str, list[Sample]] = {}
    for sample in samples:
        kinds.setdefault(sample.modality, []).append(sample)
    share = -(-MAX_SAMPLES // max(len(kinds), 1))
    spread = [[kind[int(i)] for i in np.linspace(0, len(kind) - 1, min(share, len(kind)))] for kind in kinds.values()]
    return [sample for kind in spread for sample in kind][:MAX_SAMPLES]


def _draw(dataset: Dataset, sample: Sample) -> ImageUInt8:
    pixels, labels, _ = dataset.read(sample)
    image: Pixels = normalize(pixels)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    factor = CELL_SIDE / max(labels.shape)
    size = (max(round(labels.shape[1] * factor), 1), max(round(labels.shape[0] * factor), 1))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    small = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.float32)
    edge = (small > 0) & (small != cv2.erode(small, np.ones((3, 3), np.uint8)))
    image[edge] = OUTLINE
    return np.asarray(image, np.uint8)
