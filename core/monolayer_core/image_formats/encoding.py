"""The two formats that are written: PNG for pictures, TIFF for label images."""

import io
import zlib
from collections.abc import Iterator
from math import isfinite
from typing import Any

import cv2
import numpy as np
import tifffile

from monolayer_core.arrays import Pixels
from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.row_source import RowSource

_STRIP_BYTES = 1 << 20


def encode_png(pixels: Pixels) -> bytes:
    """Encode as PNG, without loss.

    Parameters
    ----------
    pixels
        ``(y, x)`` grey or ``(y, x, 3)`` RGB; uint8 or uint16.

    Raises
    ------
    UnusableImageError
        The pixels are of another shape or type, or there are none.
    """
    rgb = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype not in (np.uint8, np.uint16) or not (pixels.ndim == 2 or rgb) or pixels.size == 0:
        raise UnusableImageError(f"pixels of type {pixels.dtype} and shape {pixels.shape} cannot be written as PNG")
    pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if rgb else pixels)[1]
    return encoded.tobytes()


def encode_label_tiff(labels: RowSource, largest: int, pixel_size_um: float | None = None) -> bytes:
    """Encode a label image as TIFF: deflate, uint16 while labels fit, else uint32; by rows, none of them kept.

    The pixel size is written as ImageJ reads it (resolution tags and ``unit=micron``), so that its measurements are in
    micrometres. An image of more than 4 GiB becomes a BigTIFF.

    Parameters
    ----------
    labels
        Of whole numbers.
    largest
        The largest label, or more.
    pixel_size_um
        Side of a pixel in micrometres.

    Raises
    ------
    OptionError
        The pixel size is not a positive number.
    UnusableImageError
        There are no pixels, or a label is negative or larger than `largest`.
    """
    if pixel_size_um is not None and not (isfinite(pixel_size_um) and pixel_size_um > 0):
        raise OptionError(f"pixel_size_um must be a positive number of micrometres, not {pixel_size_um}")
    if not labels.height or not labels.width or labels.channels != 1:
        raise UnusableImageError("a label image has rows, columns and one label a pixel")
    dtype = np.dtype(np.uint16 if largest < 1 << 16 else np.uint32)
    rows_per_strip = max(1, _STRIP_BYTES // (labels.width * dtype.itemsize))
    description = "ImageJ=1.11a\nimages=1\n"
    if pixel_size_um is not None:
        description += "unit=micron\n"
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        _strips(labels, largest, dtype, rows_per_strip),
        shape=(labels.height, labels.width),
        dtype=dtype,
        bigtiff=labels.height * labels.width * dtype.itemsize > (1 << 32) - (1 << 20),
        photometric="minisblack",
        compression="zlib",
        byteorder="<",
        rowsperstrip=rows_per_strip,
        description=description,
        metadata=None,
        software="",
        resolution=None if pixel_size_um is None else (1 / pixel_size_um, 1 / pixel_size_um),
        resolutionunit="NONE",
    )
    return stream.getvalue()


def _strips(labels: RowSource, largest: int, dtype: np.dtype[Any], rows_per_strip: int) -> Iterator[bytes]:
    for top in range(0, labels.height, rows_per_strip):
        rows = labels.read(slice(top, min(top + rows_per_strip, labels.height)))
        if rows.min() < 0 or rows.max() > largest:
            raise UnusableImageError(f"a label lies outside 0 to {largest}")
        yield zlib.compress(rows.astype(dtype.newbyteorder("<")).tobytes())
