"""Writing the images and labels of a prepared data set, without loss."""

from pathlib import Path

import cv2
import numpy as np

from monolayer_core.arrays import LabelImage, Pixels


def write_image(folder: Path, image_id: str, pixels: Pixels) -> str:
    """Write pixels as PNG where it can hold them (uint8 and uint16), else as .npy; give the path within `folder`."""
    if pixels.dtype in (np.uint8, np.uint16):
        name = f"images/{image_id}.png"
        stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
        (folder / name).write_bytes(cv2.imencode(".png", stored)[1].tobytes())
    else:
        name = f"images/{image_id}.npy"
        np.save(folder / name, pixels, allow_pickle=False)
    return name


def write_labels(folder: Path, image_id: str, labels: LabelImage) -> str:
    """Write labels as 16-bit PNG."""
    name = f"labels/{image_id}.png"
    (folder / name).write_bytes(cv2.imencode(".png", labels.astype(np.uint16))[1].tobytes())
    return name
