"""Bytes of a file to pixels or labels; a failure names the file."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask
from monolayer_core.errors import ImageError
from monolayer_core.image_io import Image, decode_image
from monolayer_core.truth import mask_from_pixels, number_consecutively, numbers_from_pixels
from monolayer_trainer.errors import DatasetError


def decode(data: bytes, name: str) -> Image:
    """Decode an image.

    Raises
    ------
    DatasetError
        The bytes are no image that can be used.
    """
    with _naming(name):
        return decode_image(data)


def decode_mask(data: bytes, name: str) -> Mask:
    """Decode a binary mask, see `monolayer_core.truth.mask_from_pixels`.

    Raises
    ------
    DatasetError
        The file cannot be decoded or holds more than two values.
    """
    with _naming(name):
        return mask_from_pixels(decode_image(data).pixels)


def decode_numbers(data: bytes, name: str) -> npt.NDArray[np.integer]:
    """Decode an image of whole numbers from 0 on, see `monolayer_core.truth.numbers_from_pixels`.

    Raises
    ------
    DatasetError
        The file cannot be decoded, is coloured, or holds other numbers.
    """
    with _naming(name):
        return numbers_from_pixels(decode_image(data).pixels)


def decode_labels(data: bytes, name: str) -> LabelImage:
    """Decode a label image and renumber its objects 1 to N; an object in two pieces stays one.

    Raises
    ------
    DatasetError
        As for `decode_numbers`.
    """
    return number_consecutively(decode_numbers(data, name))


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn what core says about an image into an error that names the file."""
    try:
        yield
    except ImageError as error:
        raise DatasetError(f"{name}: {error}") from error
