"""NumPy's .npy, without pickle: the header is parsed with a bounded length, the pixels are read in place."""

import io
from math import prod

import numpy as np
from numpy.lib import format as npy_format

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.stored import UNKNOWN_AXIS, StoredImage, damage_refused

MAGIC = b"\x93NUMPY"

_MAX_HEADER = 4096  # bytes; that of a plain array has 118


def describe(data: bytes) -> StoredImage:
    """Read shape and type.

    Two axes are ``YX``; three of which the last counts 3 or 4 are ``YXS``. What others mean only the caller can say.

    Raises
    ------
    TruncatedImageError
        The header is damaged.
    UnusableImageError
        Anything but numbers is inside (objects are never unpickled), or nothing.
    """
    stream = io.BytesIO(data)
    with damage_refused("npy"):
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            shape, fortran_order, dtype = npy_format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER)
        elif version == (2, 0):
            shape, fortran_order, dtype = npy_format.read_array_header_2_0(stream, max_header_size=_MAX_HEADER)
        else:
            # Version 3 exists for field names in Unicode, and pixels have no fields.
            raise UnusableImageError(f"version {version[0]}.{version[1]} of the npy format holds no plain image")
    # NumPy's own check takes True for 1 here, and no shape with it later.
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise TruncatedImageError(f"the npy header is damaged: it announces the shape {shape}")
    start = stream.tell()

    def decode(_: tuple[int, ...]) -> Pixels:
        count = prod(shape)
        if len(data) - start < count * dtype.itemsize:
            raise TruncatedImageError(
                f"the npy data ends early: shape {shape} of {dtype} needs {count * dtype.itemsize} bytes, "
                f"there are {len(data) - start}"
            )
        flat: Pixels = np.frombuffer(data, dtype=dtype, count=count, offset=start)
        return flat.reshape(shape, order="F" if fortran_order else "C")

    return StoredImage("npy", shape, _axes(shape), dtype, decode)


def _axes(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3 and shape[2] in (3, 4):
        return "YXS"
    return UNKNOWN_AXIS * len(shape)
