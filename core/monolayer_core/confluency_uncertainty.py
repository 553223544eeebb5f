"""How far confluency may be off, as far as the network's answer tells.

Where probabilities are near 0 or 1 there is little to be wrong about; the more pixels lie between, the farther the
percentage may be off. By how much was seen on labelled images the network was not trained on: the half-width is scaled
so that the interval covers the truth in 90 % of them, with the correction for their number that makes this hold for the
next image like them. Method: split conformal prediction with a normalised score, J. Lei et al., "Distribution-free
predictive inference for regression", J. American Statistical Association 113 (2018) 1094-1111.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monolayer_core.card_blocks import ConfluencyUncertainty
from monolayer_core.levels import count_each

COVERAGE = 0.9
"""Share of images whose true confluency lies within the interval."""

MIN_IMAGES = 10
"""Of fewer images no such interval is known."""

_FLOORS = (0.3, 1.0, 3.0, 10.0, 30.0)  # tried: percent of uncertain pixels that count in every image

_LEVELS = np.arange(256) / 255
_UNCERTAIN_PERCENT = 100 * 4 * _LEVELS * (1 - _LEVELS)


class ConfluencyRecord(NamedTuple):
    """What is known of one labelled image; all in percent of its pixels."""

    true_percent: float
    predicted_percent: float
    uncertain_percent: float


def uncertain_percent(foreground: npt.NDArray[np.uint8]) -> float:
    """Mean of 4 p (1 - p) over the image in percent: 0 where all pixels are certain, 100 where all are a half.

    Parameters
    ----------
    foreground : uint8 (y, x)
        Foreground probability p, 0 to 255 standing for 0 to 1.

    Examples
    --------
    >>> uncertain_percent(np.array([[0, 255], [0, 51]], dtype=np.uint8))  # a quarter of the pixels has 4 x 0.2 x 0.8
    16.0
    """
    return uncertain_percent_of(count_each(foreground))


def uncertain_percent_of(counts: npt.NDArray[np.int64]) -> float:
    """Give the same from the number of pixels of each level, ``(256,)``."""
    return float(counts @ _UNCERTAIN_PERCENT / counts.sum())


def uncertainty_points(uncertain: float, spec: ConfluencyUncertainty) -> float:
    """Half-width of the interval around the confluency, in percentage points."""
    return spec.floor_points + spec.slope * uncertain


def fit_confluency_uncertainty(records: Sequence[tuple[float, float, float]]) -> ConfluencyUncertainty:
    """Find the half-width that covers the truth in `COVERAGE` of images.

    The error of each image is divided by its uncertain percent plus a floor; of several floors the one with the
    narrowest intervals on average is taken.

    Parameters
    ----------
    records : sequence of (true percent, predicted percent, uncertain percent)
        One per image that the network was not trained on; see `ConfluencyRecord`.

    Raises
    ------
    ValueError
        There are fewer than `MIN_IMAGES`, or a value is not finite.

    Examples
    --------
    Errors of 1 to 20 points that grow with the uncertain pixels: of 20 images the 19th must be covered.

    >>> spec = fit_confluency_uncertainty([(50.0, 50.0 + k, 10.0 * k) for k in range(1, 21)])
    >>> round(uncertainty_points(190.0, spec), 2)
    19.0
    """
    if len(records) < MIN_IMAGES:
        raise ValueError(f"an interval for confluency needs {MIN_IMAGES} labelled images, there are {len(records)}")
    true, predicted, uncertain = np.array(records, dtype=np.float64).T
    if not np.isfinite([true, predicted, uncertain]).all():
        raise ValueError("confluency or uncertain pixels are not finite")
    error = np.abs(predicted - true)
    rank = math.ceil(COVERAGE * (len(records) + 1))
    fits = []
    for floor in _FLOORS:
        factor = float(np.sort(error / (uncertain + floor))[rank - 1])
        fits.append((factor * (floor + uncertain.mean()), floor, factor))
    _, floor, factor = min(fits)
    return ConfluencyUncertainty(floor_points=_rounded_up(factor * floor), slope=_rounded_up(factor))


def _rounded_up(value: float) -> float:
    """Five decimals, never narrower."""
    return math.ceil(round(value * 1e5, 6)) / 1e5
