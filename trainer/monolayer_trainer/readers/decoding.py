"""Bytes of a file to pixels or labels; a failure names the file."""

import cv2
import numpy as np

from monolayer_core.arrays import LabelImage, Mask, Pixels
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.labelled_image import number_consecutively


def decode_pixels(data: bytes, name: str) -> Pixels:
    """Decode an image to ``(y, x)`` or ``(y, x, 3)`` RGB."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DatasetError(f"{name}: cannot be decoded")
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., 2::-1])
    return pixels


def decode_mask(data: bytes, name: str) -> Mask:
    """Decode a binary mask: 0 is background, one other value is foreground.

    Where the largest value is 255, everything above 127 is foreground, so that masks smeared by JPEG or by smoothing
    can be read. Of a colour mask the brightest channel counts.

    Raises
    ------
    DatasetError
        The file cannot be decoded or holds more than two values.
    """
    values = decode_pixels(data, name)
    if values.ndim == 3:
        values = values.max(axis=2)
    largest = values.max()
    mask: Mask = values > (127 if largest == 255 else 0)
    if largest != 255 and not (values[mask] == largest).all():
        raise DatasetError(f"{name}: a binary mask holds two values, this one more; are these label images?")
    return mask


def decode_labels(data: bytes, name: str) -> LabelImage:
    """Decode a label image of whole numbers and renumber its objects 1 to N; an id in two pieces stays one object."""
    values = decode_pixels(data, name)
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise DatasetError(f"{name}: a label image must have one channel, this one is coloured")
        values = values[..., 0]
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        raise DatasetError(f"{name}: a label image must hold whole numbers")
    if values.min() < 0:
        raise DatasetError(f"{name}: a label image must not hold negative numbers")
    return number_consecutively(values.astype(np.int64))
