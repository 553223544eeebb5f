"""What tells two images apart by their pixels alone, whatever file they came in."""

import hashlib

import numpy as np

from monolayer_core.row_source import RowSource, bands


def digest_pixels(source: RowSource) -> str:
    """Give the SHA-256 of an image plane as it was decoded, in hexadecimal digits.

    It is taken of the text ``height width channels dtype`` (numbers in decimals, the type as numpy names it) and a line
    feed, followed by the values row by row in little-endian order. A PNG and a TIFF of the same pixels have the same.

    Parameters
    ----------
    source
        Grey or RGB of any size and real type; gone through once, in bands.

    Examples
    --------
    >>> from monolayer_core.row_source import ArrayRows
    >>> digest_pixels(ArrayRows(np.array([[1, 2]], dtype=np.uint16)))[:16]
    '92176aae72b57676'
    """
    digest = hashlib.sha256(f"{source.height} {source.width} {source.channels} {source.dtype.name}\n".encode())
    for rows in bands(source.height, source.width):
        pixels = np.ascontiguousarray(source.read(rows))
        digest.update(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()
