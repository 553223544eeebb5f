"""Pictures a person judges a network by: input | truth | prediction, objects outlined."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8, LabelImage
from monolayer_core.overlay import draw_overlay

GAP_PX = 4
CAPTION_PX = 18
BACKGROUND = 24


def draw_row(image: ImageUInt8, *labellings: LabelImage) -> ImageUInt8:
    """Draw the image and, beside it, one copy for each labelling (truth, prediction), uint8 RGB ``(y, x, 3)``."""
    nothing = np.zeros(image.shape[:2], np.int32)
    parts = [draw_overlay(image, labels) for labels in (nothing, *labellings)]
    gap = np.full((image.shape[0], GAP_PX, 3), BACKGROUND, np.uint8)
    return np.concatenate([piece for part in parts for piece in (part, gap)][:-1], axis=1)


def draw_sheet(rows: Sequence[ImageUInt8], captions: Sequence[str] = ()) -> ImageUInt8:
    """Set rows below each other, each under its caption; uint8 RGB ``(y, x, 3)``, as wide as the widest."""
    width = max(row.shape[1] for row in rows)
    bands = []
    for index, row in enumerate(rows):
        band = np.full((row.shape[0] + CAPTION_PX + GAP_PX, width, 3), BACKGROUND, np.uint8)
        band[CAPTION_PX : CAPTION_PX + row.shape[0], : row.shape[1]] = row
        text = captions[index] if index < len(captions) else ""
        cv2.putText(band, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
        bands.append(band)
    return np.concatenate(bands)


def write_png(path: Path, picture: ImageUInt8) -> None:
    """Write a uint8 RGB picture ``(y, x, 3)``.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    encoded, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise OSError(f"no PNG could be made for {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())
