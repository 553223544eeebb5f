"""Images of any size, made of a real example picture."""

import io
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import tifffile


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture as OpenCV reads it, BGR ``(y, x, 3)``."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path} cannot be read")
    return np.asarray(picture, dtype=np.uint8)


def make_mosaic(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Repeat a picture, mirrored at its borders, until it fills a rectangle."""
    missing = (max(0, height - picture.shape[0]), max(0, width - picture.shape[1]))
    pad = ((0, missing[0]), (0, missing[1])) + ((0, 0),) * (picture.ndim - 2)
    return np.pad(picture, pad, mode="symmetric")[:height, :width]


def encode_mosaic(picture: npt.NDArray[np.uint8], side: int) -> bytes:
    """A square of the mosaic as a PNG in colour."""
    return encode_png(make_mosaic(picture, side, side))


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """PNG of BGR or grey pixels."""
    return bytes(cv2.imencode(".png", pixels)[1])


def encode_grey_tiff(picture: npt.NDArray[np.uint8], side: int) -> bytes:
    """A square of the mosaic as a slide scanner writes it: grey uint8, uncompressed, in strips."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    stream = io.BytesIO()
    tifffile.imwrite(stream, make_mosaic(grey, side, side), rowsperstrip=64)
    return stream.getvalue()
