"""Which of an image's clusters are cells: the bright ones or the dark ones.

Nothing in an image says so by itself: nuclei shine in fluorescence and are dark in stained tissue, and cells may cover
a corner of the image or most of it. What holds for nearly every kind of image is that the ground is smooth and that
what lies on it has structure. Exchanging bright and dark exchanges the answer: an inverted image gives the same mask.
"""

from typing import Literal

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8, Mask
from monolayer_core.levels import count_levels
from monolayer_core.partition import partition_line
from monolayer_core.row_source import ArrayRows

Side = Literal["bright", "dark"]

_SMOOTHING_SIGMA_PX = 1.0  # single-pixel noise is the same on both sides and says nothing
_RIM_PX = 2  # the slope between the two sides belongs to neither
_LEAST_STEP = 0.1  # grey levels; keeps the ratio finite where a side is perfectly even
_AREA_WEIGHT = 0.05  # the smaller side is the foreground only where both are about equally smooth


def choose_side(image: ImageUInt8) -> Side:
    """Decide whether the bright or the dark part of an image is the foreground.

    The image is divided in two at the best threshold of its brightness, whatever number of clusters is wanted, so that
    the two parts change places when it is inverted. In each part the mean step between neighbouring pixels is taken,
    away from the border between the parts; the rougher part is the foreground. Where the two are alike to a few
    percent, the smaller part is.

    Parameters
    ----------
    image
        ``(y, x)`` uint8, the brightness. Where it is constant the answer is ``"bright"``.
    """
    counts = count_levels(ArrayRows(image)).counts
    levels = np.flatnonzero(counts)
    if len(levels) < 2:
        return "bright"
    bright = image >= levels[partition_line(levels.astype(np.float64), counts[levels], 2).starts[1][1]]
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING_SIGMA_PX)
    step = np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), dtype=np.uint8)), dtype=np.uint8)
    rougher = np.log(_roughness(step, bright) / _roughness(step, ~bright))
    smaller = np.log(np.count_nonzero(~bright) / np.count_nonzero(bright))
    return "bright" if rougher + _AREA_WEIGHT * smaller >= 0 else "dark"


def _roughness(step: ImageUInt8, part: Mask) -> float:
    kernel = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), dtype=np.uint8)
    inner = cv2.erode(part.view(np.uint8), kernel)  # OpenCV's default border does not erode at the edge of the image
    where = inner if cv2.hasNonZero(inner) else part.view(np.uint8)
    return float(cv2.mean(step, mask=where)[0]) + _LEAST_STEP
