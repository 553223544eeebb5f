"""The pixels inside outlines: the way back from `pixel_edges`, and the reading of outlines that people drew.

A pixel lies inside when its centre does. Rings fill by the even-odd rule, so that a ring inside another is a hole
whichever way it goes round. Along the edges of pixels that is exact.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage

IndexArray = npt.NDArray[np.intp]


def fill_rings(rings: Sequence[npt.NDArray[np.number]], height: int, width: int) -> IndexArray:
    """Find the pixels of one object.

    Parameters
    ----------
    rings : sequence of number (corner, 2)
        Corners ``(y, x)`` of each ring in pixels; pixel (0, 0) reaches from (0, 0) to (1, 1). The first corner may be
        repeated at the end.
    height, width : int
        Size of the image; what lies outside is left out.

    Returns
    -------
    intp (pixel,)
        Flat indices of the pixels, ascending.

    Examples
    --------
    >>> fill_rings([np.array([[0, 0], [0, 3], [2, 3], [2, 0]])], height=2, width=4)
    array([0, 1, 2, 4, 5, 6])
    """
    starts = [np.asarray(ring, np.float64) for ring in rings if len(ring) >= 3]
    if not starts:
        return np.zeros(0, np.intp)
    y0, x0 = np.concatenate(starts).T
    y1, x1 = np.concatenate([np.roll(ring, -1, axis=0) for ring in starts]).T
    # Rows whose centres an edge passes; of two edges that meet there one counts.
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(np.intp)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(np.intp)
    edge = np.repeat(np.arange(y0.size), last - first)
    y = np.arange(edge.size) - np.repeat(np.cumsum(last - first) - last, last - first)
    x = x0[edge] + (y + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    order = np.lexsort((x, y))  # an even number in each row: rings are closed
    columns = np.clip(np.ceil(x[order] - 0.5), 0, width).astype(np.intp)
    begin, lengths = columns[::2], columns[1::2] - columns[::2]
    flat = y[order][::2] * width + begin
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.asarray(np.repeat(flat, lengths) + within, dtype=np.intp)


def paint_objects(objects: Sequence[IndexArray], height: int, width: int) -> LabelImage:
    """Paint objects, given by the flat indices of their pixels, into a label image: object ``i`` as ``i + 1``.

    Where objects overlap the smaller one keeps the pixel, as in `truth.merge_masks`; one that is wholly covered does
    not occur.
    """
    labels = np.zeros(height * width, dtype=np.int32)
    for index in sorted(range(len(objects)), key=lambda index: -objects[index].size):
        labels[objects[index]] = index + 1
    return labels.reshape(height, width)
