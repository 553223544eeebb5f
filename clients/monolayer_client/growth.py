"""How fast confluency grows: rates with their confidence intervals, or nothing where the data do not tell.

Below crowding the covered area of adherent cells grows about exponentially, and the more slowly the less room is left.
So it is asked first whether the logarithm of confluency bends; if it does not, a straight line gives one rate for all
images, and if growth slows, a logistic curve gives the rate at the first image and at the last. What bends otherwise,
after a lag or towards death, has no rate of its own. Growth of the covered area is not growth of the number of cells:
cells spread and shrink.

Needs the extra ``reports``.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from monolayer_client.correlated_fit import Estimate, Values
from monolayer_client.growth_curves import (
    Exponential,
    Logistic,
    Parabola,
    fit_exponential,
    fit_logistic,
    fit_parabola,
)

LOWEST_PERCENT = 1.0
"""Below, a few pixels decide on the logarithm."""

CROWDED_PERCENT = 80.0
"""Above, cells run out of room and confluency levels off whatever the cells do."""

FEWEST_POINTS = 5

Verdict: TypeAlias = Literal["growing", "shrinking", "no change shown", "insufficient data"]


@dataclass(frozen=True, eq=False)
class Growth:
    """What a series says about growth.

    Attributes
    ----------
    verdict
        Whether confluency grows or shrinks; ``no change shown`` where it might as well do neither.
    reason
        Why there is no figure, or what it does not say; empty where growth is exponential.
    points
        Images that were fitted.
    rate
        Per hour: of all images where growth is exponential, at the first image where it slows, else None.
    last_rate
        Per hour, at the last image that was fitted; None unless growth slows.
    curve
        What was fitted; None where nothing was, or nothing fits.
    parabola
        What tells whether growth is even; None where data are insufficient.
    """

    verdict: Verdict
    reason: str
    points: int
    rate: Estimate | None = None
    last_rate: Estimate | None = None
    curve: Exponential | Logistic | None = None
    parabola: Parabola | None = None

    @property
    def curve_name(self) -> str:
        """``exponential``, ``logistic``, or nothing."""
        return "" if self.curve is None else type(self.curve).__name__.lower()

    @property
    def doubling_h(self) -> Estimate | None:
        """Doubling time in hours, where `rate` is one of growth; None unless it grows."""
        if self.rate is None or self.verdict != "growing":
            return None
        ln2 = float(np.log(2))
        return Estimate(ln2 / self.rate.value, ln2 / self.rate.high, ln2 / self.rate.low)


def fit_growth(hours: Values, percent: Values, *, until_percent: float = CROWDED_PERCENT) -> Growth:
    """Fit the growth of one series.

    Parameters
    ----------
    hours
        ``(n,)``, ascending.
    percent
        ``(n,)``: confluency. Left out is all from where it stays above `until_percent` on, and any value above that or
        below `LOWEST_PERCENT`.
    until_percent
        Where cells run out of room.
    """
    crowded = np.flatnonzero(steadied(percent) > until_percent)
    end = int(crowded[0]) if crowded.size else len(percent)
    used = np.flatnonzero((percent[:end] >= LOWEST_PERCENT) & (percent[:end] <= until_percent))
    times, values = hours[used], percent[used]
    if used.size < FEWEST_POINTS or np.ptp(times) == 0:
        reason = f"{used.size} images between {LOWEST_PERCENT:g} and {until_percent:g} %, {FEWEST_POINTS} are needed"
        return Growth("insufficient data", reason, used.size)
    parabola = fit_parabola(times, values)
    first, last = parabola.end_rates
    if not tells(parabola.bend):
        exponential = fit_exponential(times, values)
        if tells(exponential.swing):
            order = "falls, then rises" if exponential.swing.low > 0 else "rises, then falls"
            reason = f"not exponential: the rate {order}"
            return Growth(_verdict(parabola.change), reason, used.size, parabola=parabola)
        rate = exponential.rate
        reason = "" if tells(rate) else "the interval of the rate holds zero"
        return Growth(_verdict(rate), reason, used.size, rate, None, exponential, parabola)
    verdict = _verdict(parabola.change)
    if verdict == "growing" and parabola.bend.high < 0 < last.high:
        logistic = fit_logistic(times, values)
        if logistic is not None and not tells(logistic.swing):
            first, last = _slowing_rates(logistic, parabola)
            return Growth(verdict, _bend_of(first, last), used.size, first, last, logistic, parabola)
    return Growth(verdict, _bend_of(first, last), used.size, parabola=parabola)


def steadied(percent: Values) -> Values:
    """Give medians of three neighbours, and the lower of two at the ends: no single value stands out upwards."""
    if len(percent) < 2:
        return np.zeros_like(percent)
    inner = np.median(np.stack([percent[:-2], percent[1:-1], percent[2:]]), axis=0)
    return np.concatenate([[percent[:2].min()], inner, [percent[-2:].min()]])


def tells(known: Estimate) -> bool:
    """Tell whether a value is known to be above or below 0."""
    return known.low > 0 or known.high < 0


def _verdict(known: Estimate) -> Verdict:
    if not tells(known):
        return "no change shown"
    return "growing" if known.low > 0 else "shrinking"


def _slowing_rates(logistic: Logistic, parabola: Parabola) -> tuple[Estimate, Estimate]:
    """Give the rates at the first and the last image, with room for other ways to slow that fit as well."""
    first, last = logistic.rate_at(parabola.start_h), logistic.rate_at(parabola.start_h + parabola.span_h)
    if tells(parabola.swing):
        return first, last
    other_first, other_last = parabola.end_rates
    # Where growth slows, the first rate is no lower than the mean one.
    lowest = max(other_first.low, parabola.change.low / parabola.span_h)
    return (
        Estimate(first.value, min(first.low, lowest), max(first.high, other_first.high)),
        Estimate(last.value, min(last.low, other_last.low), max(last.high, other_last.high)),
    )


def _bend_of(first: Estimate, last: Estimate) -> str:
    verb = "falls" if last.value < first.value else "rises"
    return f"not exponential: the rate {verb} from {first.value:z.3f} to {last.value:z.3f} per h"
