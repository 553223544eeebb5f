"""When a confluency is reached: as observed, as foretold where the images carry that, or not said.

Needs the extra ``reports``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from monolayer_client.correlated_fit import CONFIDENCE, Values
from monolayer_client.growth import CROWDED_PERCENT, Growth, steadied
from monolayer_client.growth_curves import Exponential, Logistic


@dataclass(frozen=True)
class Arrival:
    """When a target is reached, in hours.

    Attributes
    ----------
    kind
        ``observed`` between two images, ``forecast`` from the fitted curve, ``reached before`` the first images, or
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


def arrival_at(
    target_percent: float, hours: Values, percent: Values, growth: Growth, *, until_percent: float = CROWDED_PERCENT
) -> Arrival:
    """Say when a series reaches a confluency: as observed, else as the fitted curve foretells.

    A single value is never believed: values are medians of three neighbours, above the target at the end of a series
    are its two last images or none, and where only the first image lies below, the target was reached before the
    second. A forecast goes no further ahead than the series has been watched, and not beyond crowding. That growth may
    slow is part of the interval of one by an exponential: it holds the times of curves that bend as little as cannot be
    told from a straight line, and of growth that from the middle of the images on slows as room up to 100 % runs out.
    """
    smooth = steadied(percent)
    above = np.flatnonzero(smooth >= target_percent)
    if above.size:
        first = int(above[0])
        if first == 0 or (first == 1 and len(percent) > 2):
            return Arrival("reached before", float(hours[first]))
        fraction = (target_percent - smooth[first - 1]) / (smooth[first] - smooth[first - 1])
        return Arrival("observed", float(hours[first - 1] + fraction * (hours[first] - hours[first - 1])))
    if growth.verdict != "growing":
        return Arrival("insufficient data", reason=growth.reason or "confluency does not grow")
    if target_percent > until_percent:
        return Arrival("insufficient data", reason=f"growth above {until_percent:g} % cannot be foretold")
    if growth.curve is None:
        return Arrival("insufficient data", reason=growth.reason)
    return _foretell(target_percent, hours, growth, growth.curve)


def _foretell(target_percent: float, hours: Values, growth: Growth, curve: Exponential | Logistic) -> Arrival:
    last, watched = float(hours[-1]), float(np.ptp(hours))
    if isinstance(curve, Logistic) and curve.capacity_percent <= target_percent:
        return Arrival("insufficient data", reason=f"the fitted curve levels off at {curve.capacity_percent:.0f} %")
    time = curve.arrival_h(target_percent)
    if time <= last:
        return Arrival("insufficient data", reason="growth has slowed: the fitted curve is there already")
    if time - last > watched:
        return Arrival("insufficient data", reason="the target is further ahead than the series has been watched")
    drawn = [curve.draw_arrivals(target_percent)]
    if isinstance(curve, Exponential) and growth.parabola is not None:
        drawn.append(growth.parabola.draw_arrivals(target_percent))
        drawn.append(curve.draw_crowded_arrivals(target_percent, (float(hours[0]) + last) / 2))
    shares = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    # The nearest of the drawn times, not one between two: between a time and infinity there is none.
    ends = np.array([np.quantile(times, shares, method="nearest") for times in drawn])
    low, high = max(float(ends[:, 0].min()), last), float(ends[:, 1].max())
    if high - last > watched:
        return Arrival("insufficient data", reason="whether growth slows before cannot be told from these images")
    return Arrival("forecast", time, min(low, time), max(high, time))
