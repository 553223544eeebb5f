"""Bytes of a file to pixels or labels; a failure names the file."""

import numpy as np

from monolayer_core.arrays import LabelImage, Mask, Pixels
from monolayer_core.errors import ImageError
from monolayer_core.image_io import Image, decode_image
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.labelled_image import number_consecutively


def decode(data: bytes, name: str) -> Image:
    """Decode an image.

    Raises
    ------
    DatasetError
        The bytes are no image that can be used.
    """
    try:
        return decode_image(data)
    except ImageError as error:
        raise DatasetError(f"{name}: {error}") from error


def decode_mask(data: bytes, name: str) -> Mask:
    """Decode a binary mask: 0 is background, one other value is foreground.

    Where the largest value is 255, everything above 127 is foreground, so that masks smeared by JPEG or by smoothing
    can be read. Of a colour mask the brightest channel counts.

    Raises
    ------
    DatasetError
        The file cannot be decoded or holds more than two values.
    """
    values = decode(data, name).pixels
    if values.ndim == 3:
        values = values.max(axis=2)
    largest = values.max()
    mask: Mask = values > (127 if largest == 255 else 0)
    if largest != 255 and not (values[mask] == largest).all():
        raise DatasetError(f"{name}: a binary mask holds two values, this one more; are these label images?")
    return mask


def decode_numbers(data: bytes, name: str) -> Pixels:
    """Decode an image of one channel that holds whole numbers from 0 on; ``(y, x)`` of an integer type.

    Raises
    ------
    DatasetError
        The file cannot be decoded, is coloured, or holds other numbers.
    """
    values = decode(data, name).pixels
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise DatasetError(f"{name}: one channel is needed, this image is coloured")
        values = values[..., 0]
    if values.dtype.kind == "f":
        if not (values == np.floor(values)).all():
            raise DatasetError(f"{name}: whole numbers are needed")
        values = values.astype(np.int64)
    if values.min() < 0:
        raise DatasetError(f"{name}: there must be no negative numbers")
    return values


def decode_labels(data: bytes, name: str) -> LabelImage:
    """Decode a label image and renumber its objects 1 to N; an object in two pieces stays one.

    Raises
    ------
    DatasetError
        As for `decode_numbers`.
    """
    return number_consecutively(decode_numbers(data, name))
