"""Outlines of objects as polygons.

This loops over objects, each in the crop of its bounding box, and is therefore done only when asked for.
"""

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.row_runs import RowRuns
from monolayer_core.row_source import BAND_PX


def trace_polygons(
    runs: RowRuns, bbox_px: npt.NDArray[np.integer], *, check: Callable[[], None] = lambda: None
) -> list[list[list[int]]]:
    """Trace the outer border of every object.

    Parameters
    ----------
    runs : RowRuns
        Objects 1 to N, each connected. Those that follow one another and begin in the same band of rows are painted
        together, so that of objects in raster order only a part of the image is painted at a time.
    bbox_px : (object, 4)
        Bounding boxes ``y, x, height, width`` as `monolayer_core.measure.measure` gives them.
    check : callable
        Called for every object; what it raises ends the work.

    Returns
    -------
    One polygon an object: vertices ``[y, x]`` in image coordinates. They are the indices of border pixels, so the
    outline runs through pixel centres; only the ends of straight and diagonal runs are listed. Holes are not drawn. An
    object of one pixel has one vertex.

    Notes
    -----
    Border following after Suzuki and Abe (1985), as OpenCV does it.

    Examples
    --------
    >>> from monolayer_core.row_runs import find_row_runs
    >>> trace_polygons(find_row_runs(np.array([[0, 1, 1], [0, 1, 1]])), np.array([[0, 1, 2, 2]]))
    [[[0, 1], [1, 1], [1, 2], [0, 2]]]
    """
    polygons = []
    rows_together = max(1, BAND_PX // max(runs.width, 1))
    boxes = enumerate(bbox_px.tolist(), start=1)
    for _, group in itertools.groupby(boxes, key=lambda item: item[1][0] // rows_together):
        together = list(group)
        top = min(y for _, (y, _, _, _) in together)
        labels = runs.paint(slice(top, max(y + height for _, (y, _, height, _) in together)))
        for label, (y, x, height, width) in together:
            check()
            crop = (labels[y - top : y - top + height, x : x + width] == label).astype(np.uint8)
            contours, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
            outline = max(contours, key=len).reshape(-1, 2)
            polygons.append(outline[:, ::-1].tolist())
    return polygons
