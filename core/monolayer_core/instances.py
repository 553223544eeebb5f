"""From probabilities to a mask and seeds, and keeping the labels of objects in order.

Foreground is 8-connected, background 4-connected, here and wherever objects are split or counted: two cells that touch
only at a corner are one component until something splits them, and a hole does not leak through a corner.
"""

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask
from monolayer_core.measure import mean_values
from monolayer_core.row_runs import RowRuns, find_piece_runs, find_row_runs
from monolayer_core.row_source import ArrayRows

FOREGROUND_CONNECTIVITY: Final = 8
BACKGROUND_CONNECTIVITY: Final = 4


def above(probabilities: npt.NDArray[np.uint8], threshold: float) -> Mask:
    """Find the pixels whose probability is greater than a threshold.

    Parameters
    ----------
    probabilities : uint8 (y, x)
        0 to 255 standing for 0 to 1.
    threshold : float
        0 to 1. A probability equal to the threshold is not above it: with 1 nothing is found, with 0 all but zeros.

    Examples
    --------
    >>> above(np.array([[0, 127, 128, 255]], dtype=np.uint8), 0.5)
    array([[False, False,  True,  True]])
    """
    # Comparing with a whole number keeps the comparison in uint8; the small term undoes the rounding of k / 255 * 255.
    level: Mask = probabilities > np.uint8(math.floor(threshold * 255 + 1e-6))
    return level


def foreground_mask(foreground: npt.NDArray[np.uint8], *, threshold: float, max_hole_area_px: int = 0) -> Mask:
    """Cut the foreground probability at a threshold and fill small holes.

    Parameters
    ----------
    foreground : uint8 (y, x)
        Foreground probability, 0 to 255.
    threshold : float
        0 to 1; foreground is what lies above, see `above`.
    max_hole_area_px : int
        See `fill_holes`.
    """
    return fill_holes(above(foreground, threshold), max_hole_area_px)


def fill_holes(mask: Mask, max_hole_area_px: int) -> Mask:
    """Fill holes of up to a given area.

    A hole is a 4-connected piece of background that does not touch the edge of the image; an island within it does not
    count towards its area and stays.

    Parameters
    ----------
    mask : bool (y, x)
    max_hole_area_px : int
        Largest hole that is filled; 0 fills none.

    Returns
    -------
    bool (y, x)
        The same array where nothing was filled.
    """
    if max_hole_area_px <= 0:
        return mask
    ground = find_connected_runs(~mask, BACKGROUND_CONNECTIVITY)
    holes = ground.keep((ground.areas_px <= max_hole_area_px) & ~ground.at_edge)
    if not holes.count:
        return mask
    filled = mask.copy()
    filled.ravel()[holes.flat_pixels()] = True
    return filled


def seeds_from_map(
    seed_map: npt.NDArray[np.uint8], mask: Mask, threshold: float, *, min_area_px: int = 0
) -> LabelImage:
    """Find seeds: 8-connected pieces of the mask in which the seed map lies above a threshold.

    A ragged map breaks into one large piece and specks beside it; each speck would cut an object of its own from the
    one it belongs to, so pieces below `min_area_px` are left out.

    Parameters
    ----------
    seed_map : uint8 (y, x)
        High inside objects, low where they touch: the interior probability or the distance to the edge.
    mask : bool (y, x)
    threshold : float
        0 to 1, see `above`.
    min_area_px : int
        Seeds of fewer pixels are left out.

    Returns
    -------
    int32 (y, x)
        1 to N for the seeds, in the raster order of their first pixels.
    """
    seeds = find_connected_runs(above(seed_map, threshold) & mask, FOREGROUND_CONNECTIVITY)
    return drop_small(seeds, min_area_px).paint()


def find_connected_runs(mask: Mask, connectivity: int) -> RowRuns:
    """Find the runs of the connected pieces of a mask; `connectivity` is 4 or 8."""
    _, pieces = cv2.connectedComponents(mask.view(np.uint8), connectivity=connectivity)
    return find_piece_runs(mask, np.asarray(pieces, dtype=np.int32))


def remove_small(labels: LabelImage, min_area_px: int) -> LabelImage:
    """Remove objects of fewer than `min_area_px` pixels and number the others anew, see `relabel`."""
    return drop_small(find_row_runs(labels), min_area_px).paint()


def relabel(labels: LabelImage) -> LabelImage:
    """Renumber objects from 1 to N in the raster order of their first pixels.

    Parameters
    ----------
    labels : int32 (y, x)
        0 for background and any positive numbers for objects.

    Examples
    --------
    >>> relabel(np.array([[0, 7, 7], [3, 0, 7]], dtype=np.int32))
    array([[0, 1, 1],
           [2, 0, 1]], dtype=int32)
    """
    return drop_small(find_row_runs(labels), 1).paint()


def drop_small(runs: RowRuns, min_area_px: int) -> RowRuns:
    """Drop objects of fewer than `min_area_px` pixels; the others are numbered anew, see `RowRuns.keep`."""
    return runs.keep(runs.areas_px >= max(min_area_px, 1))


def drop_faint(runs: RowRuns, foreground: npt.NDArray[np.uint8], min_score: float) -> RowRuns:
    """Drop objects of a low score; the others are numbered anew, see `RowRuns.keep`.

    Parameters
    ----------
    runs : RowRuns
        Of objects of at least one pixel each.
    foreground : uint8 (y, x)
        Foreground probability, 0 to 255.
    min_score : float
        0 to 1; objects whose mean foreground probability is lower are dropped.
    """
    return runs.keep(mean_values(runs, ArrayRows(foreground)) >= 255 * min_score)


def drop_border(runs: RowRuns) -> RowRuns:
    """Drop objects that touch the edge of the image; the others are numbered anew, see `RowRuns.keep`."""
    return runs.keep(~runs.at_edge)
