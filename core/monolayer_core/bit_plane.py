"""A mask of one bit a pixel, read and written by windows."""

import numpy as np

from monolayer_core.arrays import Mask, Region


class BitPlane:
    """A mask of `height` by `width` pixels in an eighth of the memory; all False at first.

    Examples
    --------
    >>> plane = BitPlane(2, 20)
    >>> plane[0:2, 7:10] = np.ones((2, 3), dtype=np.bool_)
    >>> plane[1:2, 5:12].astype(int)
    array([[0, 0, 1, 1, 1, 0, 0]])
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self._bytes = np.zeros((height, -(-width // 8)), dtype=np.uint8)

    def __getitem__(self, region: Region) -> Mask:
        """Read a window; the array is a new one."""
        rows, columns = region
        whole = slice(columns.start // 8, -(-columns.stop // 8))
        bits = np.unpackbits(self._bytes[rows, whole], axis=1).view(np.bool_)
        before = 8 * whole.start
        return np.ascontiguousarray(bits[:, columns.start - before : columns.stop - before])

    def __setitem__(self, region: Region, mask: Mask) -> None:
        """Write a window."""
        rows, columns = region
        whole = slice(columns.start // 8, -(-columns.stop // 8))
        if columns.start % 8 or (columns.stop % 8 and columns.stop < self.width):
            bits = np.unpackbits(self._bytes[rows, whole], axis=1).view(np.bool_)
            before = 8 * whole.start
            bits[:, columns.start - before : columns.stop - before] = mask
            mask = bits
        self._bytes[rows, whole] = np.packbits(mask, axis=1)
