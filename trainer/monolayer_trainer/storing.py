"""Writing the images and labels of a prepared data set, without loss."""

from pathlib import Path

import numpy as np

from monolayer_core.arrays import LabelImage, Pixels
from monolayer_core.image_io import encode_label_tiff, encode_png
from monolayer_core.row_source import ArrayRows


def write_image(folder: Path, image_id: str, pixels: Pixels) -> str:
    """Write pixels as PNG where it can hold them (uint8 and uint16), else as npy; give the path within `folder`."""
    if pixels.dtype in (np.uint8, np.uint16):
        name = f"images/{image_id}.png"
        (folder / name).write_bytes(encode_png(pixels))
    else:
        name = f"images/{image_id}.npy"
        np.save(folder / name, pixels, allow_pickle=False)
    return name


def write_labels(folder: Path, image_id: str, labels: LabelImage) -> str:
    """Write labels as 16-bit PNG, or as TIFF where there are more than 65,535; give the path within `folder`."""
    if labels.max() < 1 << 16:
        name = f"labels/{image_id}.png"
        (folder / name).write_bytes(encode_png(labels.astype(np.uint16)))
    else:
        name = f"labels/{image_id}.tif"
        (folder / name).write_bytes(encode_label_tiff(ArrayRows(labels), int(labels.max())))
    return name
