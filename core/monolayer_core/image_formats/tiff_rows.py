"""Rows of a TIFF page: only the strips or tiles that they lie in are decompressed."""

from math import prod

import numpy as np
import tifffile

from monolayer_core.arrays import Pixels
from monolayer_core.errors import TruncatedImageError
from monolayer_core.image_formats.tiff_codecs import SEPARATE, check_stream


def view_plain(data: bytes, page: tifffile.TiffPage, planes_before: int = 0) -> Pixels | None:
    """Give a page whose pixels lie in the file as they are, without a copy; None where they do not.

    Parameters
    ----------
    data
        The file.
    page
        Checked to lie whole within it.
    planes_before
        How many planes of the same size stand before the wanted one.

    Returns
    -------
    Pixels or None
        (separate samples, 1, y, x, samples), read-only, in the byte order of the file.
    """
    if not page.is_contiguous or page.fillorder != 1 or page.predictor != 1 or page.is_subsampled:
        return None
    plane: Pixels = np.frombuffer(
        data,
        dtype=np.dtype(page.dtype).newbyteorder(page.parent.byteorder),
        count=prod(page.shaped),
        offset=page.dataoffsets[0] + planes_before * page.nbytes,
    )
    return plane.reshape(page.shaped)


def rows_together(page: tifffile.TiffPage) -> int:
    """Rows of a strip or tile."""
    return int(_chunk_size(page)[0])


def decode_rows(data: bytes, page: tifffile.TiffPage, rows: slice) -> Pixels:
    """Decompress the strips or tiles of some rows.

    Parameters
    ----------
    data
        The file.
    page
        Checked to have all strips or tiles whole within it.
    rows
        First and end, within the page.

    Raises
    ------
    TruncatedImageError, UnusableImageError
        A strip or tile is missing, or refused by `tiff_codecs.check_stream`.

    Returns
    -------
    Pixels
        (separate samples, 1, y, x, samples), as `tifffile.TiffPage.asarray` gives these rows.
    """
    separate, _, height, width, samples = page.shaped
    chunk_height, chunk_width = _chunk_size(page)
    down, across = -(-height // chunk_height), -(-width // chunk_width)
    found: Pixels = np.zeros((separate, 1, rows.stop - rows.start, width, samples), dtype=page.dtype)
    for plane in range(separate):
        for row in range(rows.start // chunk_height, -(-rows.stop // chunk_height)):
            for column in range(across):
                number = (plane * down + row) * across + column
                offset, length = page.dataoffsets[number], page.databytecounts[number]
                stream = data[offset : offset + length]
                check_stream(stream, page)
                segment, place, _ = page.decode(stream, number, jpegtables=page.jpegtables)
                if segment is None:
                    raise TruncatedImageError(f"the TIFF data ends early: strip or tile {number} is missing")
                top, left = place[2], place[3]
                first, end = max(rows.start - top, 0), min(rows.stop, height, top + segment.shape[1]) - top
                part = segment[0, first:end, : width - left]
                at = top + first - rows.start
                found[place[0], 0, at : at + part.shape[0], left : left + part.shape[1]] = part
    return found


def _chunk_size(page: tifffile.TiffPage) -> tuple[int, int]:
    """Height and width of a strip or tile."""
    height, width = page.chunks[-2:] if page.planarconfig == SEPARATE else page.chunks[:2]
    return height, width
