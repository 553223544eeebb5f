"""Whether something grows: a straight line through samples, with an interval that knows neighbours to be alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

_LEAST_SAMPLES = 3


@dataclass(frozen=True)
class Trend:
    """Slope of the line and half the width of its 95 % interval, in units of y for one of x."""

    slope: float
    half_width: float

    @property
    def least_growth(self) -> float:
        """The end of the interval that is nearer to zero, 0 where zero lies inside; below 0 where it falls."""
        if abs(self.slope) <= self.half_width:
            return 0.0
        return self.slope - math.copysign(self.half_width, self.slope)


def fit_trend(x: Sequence[float], y: Sequence[float]) -> Trend:
    """Fit a line by least squares.

    Neighbouring samples of a process' memory are alike, so that there are fewer independent ones than there are: their
    number is taken from the autocorrelation of the residuals at lag one, as in B. D. Santer et al., Journal of
    Geophysical Research 105 (2000), 7337-7356.

    Raises
    ------
    ValueError
        There are fewer than four samples, or x does not vary.

    Examples
    --------
    >>> fit_trend([0, 1, 2, 3, 4], [5, 5, 5, 5, 5])
    Trend(slope=0.0, half_width=0.0)
    """
    at, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if at.size <= _LEAST_SAMPLES or np.ptp(at) == 0:
        raise ValueError("a trend needs at least four samples at different places")
    if np.ptp(values) == 0:
        return Trend(0.0, 0.0)
    centred = at - at.mean()
    spread = float(centred @ centred)
    slope = float(centred @ values) / spread
    residuals = values - values.mean() - slope * centred
    unexplained = float(residuals @ residuals)
    if unexplained <= 1e-18 * max(1.0, float(values @ values)):
        return Trend(slope, 0.0)
    alikeness = min(0.99, max(0.0, float(residuals[1:] @ residuals[:-1]) / unexplained))
    independent = max(float(_LEAST_SAMPLES), at.size * (1 - alikeness) / (1 + alikeness))
    error = math.sqrt(unexplained / (independent - 2) / spread)
    return Trend(slope, float(scipy.stats.t.ppf(0.975, independent - 2) * error))
