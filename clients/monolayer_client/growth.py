"""How fast confluency grows: a rate with its confidence interval, or nothing where the data do not tell.

Below crowding the covered area of adherent cells grows about exponentially, so the logarithm of confluency follows a
straight line; its slope is fitted by least squares. Successive images of one field resemble each other, and their
deviations from the line do too: the interval is widened as if there were only as many images as carry news, by the
correlation of neighbouring deviations (the effective sample size of a first-order autoregressive series, Bayley and
Hammersley 1946). Growth of the covered area is not growth of the number of cells: cells spread and shrink.

Needs the extra ``reports``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

LOWEST_PERCENT = 1.0
"""Below, a few pixels decide on the logarithm."""

CROWDED_PERCENT = 80.0
"""Above, cells run out of room and confluency levels off whatever the cells do."""

FEWEST_POINTS = 5
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Line:
    """log(percent) = intercept + rate * hours, with the covariance of (intercept, rate) and Student's quantile."""

    intercept: float
    rate: float
    covariance: Values
    quantile: float

    def rate_interval(self) -> tuple[float, float]:
        """Confidence interval of the rate, per hour."""
        half = self.quantile * float(np.sqrt(self.covariance[1, 1]))
        return self.rate - half, self.rate + half


@dataclass(frozen=True)
class Growth:
    """What a series says about growth.

    Attributes
    ----------
    verdict
        Whether confluency grows or shrinks; ``no change shown`` where the interval of the rate holds zero.
    reason
        Why there is no figure; empty where there is one.
    points
        Images that were fitted.
    line
        What was fitted; None where data are insufficient.
    """

    verdict: Literal["growing", "shrinking", "no change shown", "insufficient data"]
    reason: str
    points: int
    line: Line | None

    @property
    def doubling_h(self) -> tuple[float, float, float] | None:
        """Doubling time and its interval, in hours; None unless it grows."""
        if self.line is None or self.verdict != "growing":
            return None
        low, high = self.line.rate_interval()
        ln2 = float(np.log(2))
        return ln2 / self.line.rate, ln2 / high, ln2 / low


@dataclass(frozen=True)
class Arrival:
    """When a target is reached, in hours.

    Attributes
    ----------
    kind
        ``observed`` between two images, ``forecast`` from the fitted line, ``reached before`` the first image, or
        ``insufficient data``.
    hours, low, high
        The time, and for a forecast its interval; None where there is none.
    reason
        Why there is none.
    """

    kind: Literal["observed", "forecast", "reached before", "insufficient data"]
    hours: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def fit_growth(hours: Values, percent: Values, *, until_percent: float = CROWDED_PERCENT) -> Growth:
    """Fit the growth rate of one series.

    Parameters
    ----------
    hours
        ``(n,)``, ascending.
    percent
        ``(n,)``: confluency. What lies below `LOWEST_PERCENT`, and all from the first value above `until_percent` on,
        is left out.
    until_percent
        Where cells run out of room.
    """
    crowded = np.flatnonzero(percent > until_percent)
    end = int(crowded[0]) if crowded.size else len(percent)
    used = np.flatnonzero(percent[:end] >= LOWEST_PERCENT)
    times, logs = hours[used], np.log(percent[used])
    if used.size < FEWEST_POINTS or np.ptp(times) == 0:
        reason = f"{used.size} images between {LOWEST_PERCENT:g} and {until_percent:g} %, {FEWEST_POINTS} are needed"
        return Growth("insufficient data", reason, used.size, None)
    line = _fit_line(times, logs)
    low, high = line.rate_interval()
    if low > 0:
        return Growth("growing", "", used.size, line)
    if high < 0:
        return Growth("shrinking", "", used.size, line)
    return Growth("no change shown", "the interval of the rate holds zero", used.size, line)


def arrival_at(
    target_percent: float, hours: Values, percent: Values, growth: Growth, *, until_percent: float = CROWDED_PERCENT
) -> Arrival:
    """Say when a series reaches a confluency: as observed, else as the fitted line foretells.

    A single value above the target is not believed: values are medians of three neighbours. A forecast goes no further
    ahead than the series has been watched, and not beyond crowding.
    """
    smooth = _median_of_three(percent)
    above = np.flatnonzero(smooth >= target_percent)
    if above.size:
        first = int(above[0])
        if first == 0:
            return Arrival("reached before", float(hours[0]))
        fraction = (target_percent - smooth[first - 1]) / (smooth[first] - smooth[first - 1])
        return Arrival("observed", float(hours[first - 1] + fraction * (hours[first] - hours[first - 1])))
    if growth.line is None or growth.verdict != "growing":
        return Arrival("insufficient data", reason=growth.reason or "confluency does not grow")
    if target_percent > until_percent:
        return Arrival("insufficient data", reason=f"growth above {until_percent:g} % cannot be foretold")
    line = growth.line
    time = (float(np.log(target_percent)) - line.intercept) / line.rate
    if time - hours[-1] > np.ptp(hours):
        return Arrival("insufficient data", reason="the target is further ahead than the series has been watched")
    at = np.array([1.0, time])
    half = line.quantile * float(np.sqrt(at @ line.covariance @ at)) / line.rate
    return Arrival("forecast", time, max(time - half, float(hours[-1])), time + half)


def _fit_line(times: Values, logs: Values) -> Line:
    from scipy.stats import t as student

    design = np.column_stack([np.ones_like(times), times])
    inverse = np.linalg.inv(design.T @ design)
    intercept, rate = inverse @ design.T @ logs
    deviations = logs - design @ np.array([intercept, rate])
    count = len(times)
    total = float(deviations @ deviations)
    correlation = float(deviations[1:] @ deviations[:-1]) / total if total > 0 else 0.0
    # Estimated from few values the correlation comes out too low, by up to 4 / n (Marriott and Pope 1954).
    correlation = min(max(correlation + 4 / count, 0.0), 0.9)
    effective = max(count * (1 - correlation) / (1 + correlation), 3.0)
    variance = total / (count - 2) * count / effective
    return Line(
        float(intercept),
        float(rate),
        variance * inverse,
        float(student.ppf((1 + CONFIDENCE) / 2, effective - 2)),
    )


def _median_of_three(values: Values) -> Values:
    if len(values) < 3:
        return values
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))
