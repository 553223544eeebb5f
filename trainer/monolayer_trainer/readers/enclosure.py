"""Which outlines enclose others: regions that were drawn to look for objects in, among the objects found there."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Rings = Sequence[npt.NDArray[np.float64]]

_TOLERANCE_PX = 0.5
"""How far an object may reach over the edge of a region it was found in: the edges of pixels against a line."""


def find_enclosing(objects: Sequence[Rings], candidates: Iterable[int]) -> list[int]:
    """Find those of the candidates that hold another, smaller object wholly.

    Parameters
    ----------
    objects
        Rings ``(corner, 2)`` of y and x in pixels of every object, filled by the even-odd rule.
    candidates
        Indices of objects.
    """
    lowest = np.array([np.concatenate(rings).min(axis=0) for rings in objects]).reshape(-1, 2)
    highest = np.array([np.concatenate(rings).max(axis=0) for rings in objects]).reshape(-1, 2)
    extents_px = np.array([max(_area(ring) for ring in rings) for rings in objects])
    found = []
    for index in candidates:
        within = (lowest >= lowest[index] - _TOLERANCE_PX) & (highest <= highest[index] + _TOLERANCE_PX)
        smaller = np.flatnonzero(within.all(axis=1) & (extents_px < extents_px[index]))
        if any(_encloses(objects[index], objects[other]) for other in smaller.tolist()):
            found.append(index)
    return found


def _encloses(region: Rings, rings: Rings) -> bool:
    contours = [np.ascontiguousarray(ring, np.float32).reshape(-1, 1, 2) for ring in region if len(ring) >= 3]
    return all(_is_inside(point, contours) for ring in rings for point in _along(ring))


def _is_inside(point: npt.NDArray[np.float64], contours: Sequence[npt.NDArray[np.float32]]) -> bool:
    depths_px = [cv2.pointPolygonTest(contour, (float(point[0]), float(point[1])), True) for contour in contours]
    if any(abs(depth) <= _TOLERANCE_PX for depth in depths_px):
        return True
    return sum(depth > 0 for depth in depths_px) % 2 == 1


def _along(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Corners and the middles of edges: a long edge may leave a region that has both its ends."""
    return np.concatenate([ring, (ring + np.roll(ring, -1, axis=0)) / 2])


def _area(ring: npt.NDArray[np.float64]) -> float:
    y, x = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
