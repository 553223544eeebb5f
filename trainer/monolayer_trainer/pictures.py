"""Pictures a person judges a network by: input | truth | prediction, each object in its own colour."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, LabelImage

GAP_PX = 4
CAPTION_PX = 18
BACKGROUND = 24
GOLDEN_RATIO = 0.618034


def label_colours(count: int) -> npt.NDArray[np.uint8]:
    """Give RGB for label 0 (black) to `count`, ``(count + 1, 3)``: hues a golden section apart, so that they differ."""
    hues = (np.arange(1, count + 1) * GOLDEN_RATIO % 1 * 180).astype(np.uint8)
    hsv = np.stack([hues, np.full_like(hues, 200), np.full_like(hues, 255)], axis=-1)[None]
    colours = np.zeros((count + 1, 3), np.uint8)
    if count:
        colours[1:] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).reshape(-1, 3)
    return colours


def as_rgb(image: ImageUInt8) -> ImageUInt8:
    """Repeat grey ``(y, x)`` or ``(y, x, 1)`` to RGB; leave RGB as it is."""
    if image.ndim == 3 and image.shape[2] == 3:
        return image
    return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)


def colour_objects(image: ImageUInt8, labels: LabelImage) -> ImageUInt8:
    """Lay each object's colour over the image, solid at its edge; uint8 RGB ``(y, x, 3)``."""
    picture = as_rgb(image).copy()
    colours = label_colours(int(labels.max(initial=0)))[labels]
    inside = labels > 0
    picture[inside] = (picture[inside].astype(np.uint16) * 6 + colours[inside].astype(np.uint16) * 4) // 10
    values = labels.astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    edge = inside & ((values != cv2.erode(values, kernel)) | (values != cv2.dilate(values, kernel)))
    picture[edge] = colours[edge]
    return picture


def draw_row(image: ImageUInt8, *labellings: LabelImage) -> ImageUInt8:
    """Draw the image and, beside it, one copy for each labelling (truth, prediction), uint8 RGB ``(y, x, 3)``."""
    parts = [as_rgb(image), *(colour_objects(image, labels) for labels in labellings)]
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
