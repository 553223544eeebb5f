"""The two formats that are written: PNG for pictures, TIFF for label images."""

import io
from math import isfinite

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from monolayer_core.arrays import LabelImage, Pixels
from monolayer_core.errors import OptionError, UnusableImageError


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


def encode_label_tiff(labels: LabelImage, pixel_size_um: float | None = None) -> bytes:
    """Encode a label image as TIFF: deflate, uint16 while labels fit, else uint32.

    The pixel size is written as ImageJ reads it (resolution tags and ``unit=micron``), so that its measurements are in
    micrometres. An image of more than 4 GiB becomes a BigTIFF.

    Raises
    ------
    OptionError
        The pixel size is not a positive number.
    UnusableImageError
        There are no pixels, or a label is negative.
    """
    if pixel_size_um is not None and not (isfinite(pixel_size_um) and pixel_size_um > 0):
        raise OptionError(f"pixel_size_um must be a positive number of micrometres, not {pixel_size_um}")
    if labels.ndim != 2 or labels.size == 0 or labels.min() < 0:
        raise UnusableImageError("a label image has rows, columns and labels from 0 on")
    stored: npt.NDArray[np.unsignedinteger] = labels.astype(np.uint16 if labels.max() < 1 << 16 else np.uint32)
    description = "ImageJ=1.11a\nimages=1\n"
    if pixel_size_um is not None:
        description += "unit=micron\n"
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        stored,
        bigtiff=stored.nbytes > (1 << 32) - (1 << 20),
        photometric="minisblack",
        compression="zlib",
        rowsperstrip=max(1, (1 << 20) // (stored.shape[1] * stored.itemsize)),
        description=description,
        metadata=None,
        software="",
        resolution=None if pixel_size_um is None else (1 / pixel_size_um, 1 / pixel_size_um),
        resolutionunit="NONE",
    )
    return stream.getvalue()
