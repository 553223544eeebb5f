"""Outlines of objects as polygons.

This loops over objects, each in the crop of its bounding box, and is therefore done only when asked for.
"""

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage


def trace_polygons(labels: LabelImage, bbox_px: npt.NDArray[np.integer]) -> list[list[list[int]]]:
    """Trace the outer border of every object.

    Parameters
    ----------
    labels : int32 (y, x)
        0 for background, 1 to N for objects, each connected.
    bbox_px : (object, 4)
        Bounding boxes ``y, x, height, width`` as `monolayer_core.measure.measure` gives them.

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
    >>> trace_polygons(np.array([[0, 1, 1], [0, 1, 1]], dtype=np.int32), np.array([[0, 1, 2, 2]]))
    [[[0, 1], [1, 1], [1, 2], [0, 2]]]
    """
    polygons = []
    for label, (y, x, height, width) in enumerate(bbox_px.tolist(), start=1):
        crop = (labels[y : y + height, x : x + width] == label).astype(np.uint8)
        contours, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))
        outline = max(contours, key=len).reshape(-1, 2)
        polygons.append(outline[:, ::-1].tolist())
    return polygons
