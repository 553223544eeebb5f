"""Curves that confluency follows over time, fitted to its logarithm: what they say of rates and of times to come.

Two are told apart. Exponential growth is a straight line. Growth that slows as room runs out is a logistic curve
(P.-F. Verhulst 1838): the rate falls in proportion to what is covered. Its reciprocal, ``floor + start * exp(-rate *
hours)``, holds both: a floor of 0 is exponential growth, one of 0.01 levels off at 100 %.

Needs the extra ``reports``.
"""

from dataclasses import dataclass

import numpy as np

from monolayer_client.correlated_fit import Estimate, LinearFit, Values, fit_linear

DRAWS = 4000
"""Curves drawn to tell how well a time is known: enough for a fiftieth of the interval's width."""


@dataclass(frozen=True, eq=False)
class Parabola:
    """log(percent) as a parabola over time: only tells whether growth is even, and from where to where it goes.

    `fit` has the coefficients of 1, s and s**2, with s from -1 at the first to 1 at the last of the times that were
    fitted, which lie `span_h` hours apart from `start_h` on. `swing` is what a cubic term adds: away from 0 where the
    values follow another curve.
    """

    start_h: float
    span_h: float
    fit: LinearFit
    swing: Estimate

    @property
    def change(self) -> Estimate:
        """Of log(percent) from the first to the last time."""
        return self.fit.estimate(np.array([0.0, 2.0, 0.0]))

    @property
    def bend(self) -> Estimate:
        """Below 0 where growth slows, above where it quickens."""
        return self.fit.estimate(np.array([0.0, 0.0, 1.0]))

    @property
    def end_rates(self) -> tuple[Estimate, Estimate]:
        """Growth rate at the first and at the last time, per hour."""
        per_h = 2 / self.span_h
        first, last = np.array([0.0, per_h, -2 * per_h]), np.array([0.0, per_h, 2 * per_h])
        return self.fit.estimate(first), self.fit.estimate(last)

    def draw_arrivals(self, target_percent: float) -> Values:
        """Draw times at which the target is reached, ``(DRAWS,)`` in hours.

        Foretold by the logistic curve through a drawn parabola's ends and middle: infinite where that does not reach
        the target, or there is none.
        """
        constant, first, second = self.fit.draw(DRAWS).T
        with np.errstate(all="ignore"):  # what is no number is no time
            ends = [np.exp(-(constant - first + second)), np.exp(-constant), np.exp(-(constant + first + second))]
            kept = (ends[1] - ends[2]) / (ends[0] - ends[1])
            start = (ends[0] - ends[1]) / (1 - kept)
            left = (1 / target_percent - (ends[0] - start)) / start
            hours = self.start_h + np.log(left) / np.log(kept) * self.span_h / 2
        grows = (ends[0] > ends[1]) & (ends[1] > ends[2]) & np.isfinite(hours)
        return np.where(grows, hours, np.inf)


@dataclass(frozen=True, eq=False)
class Exponential:
    """log(percent) = intercept + rate * hours; `fit` has these two coefficients, `swing` is as in `Parabola`."""

    fit: LinearFit
    swing: Estimate

    @property
    def rate(self) -> Estimate:
        """Growth rate, per hour."""
        return self.fit.estimate(np.array([0.0, 1.0]))

    def percent_at(self, hours: Values) -> Values:
        """Confluency of the curve."""
        intercept, rate = self.fit.coefficients
        return np.asarray(np.exp(intercept + rate * hours))

    def arrival_h(self, target_percent: float) -> float:
        """When a growing curve reaches the target."""
        intercept, rate = self.fit.coefficients
        return float((np.log(target_percent) - intercept) / rate)

    def draw_arrivals(self, target_percent: float) -> Values:
        """Draw times at which the target is reached, ``(DRAWS,)`` in hours; infinite where a drawn curve shrinks."""
        intercept, rate = self.fit.draw(DRAWS).T
        with np.errstate(divide="ignore"):
            return np.where(rate > 0, (np.log(target_percent) - intercept) / rate, np.inf)

    def draw_crowded_arrivals(self, target_percent: float, from_h: float) -> Values:
        """Draw times as `draw_arrivals` does for curves that from `from_h` on are logistic ones up to 100 %."""
        intercept, rate = self.fit.draw(DRAWS).T
        covered = np.exp(intercept + rate * from_h) / 100
        target = min(target_percent / 100, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            way = np.log(target / covered) - np.log((1 - target) / (1 - covered))
            return np.where((rate > 0) & (covered < 1), from_h + way * (1 - covered) / rate, np.inf)


@dataclass(frozen=True, eq=False)
class Logistic:
    """1 / percent = floor + start * exp(-rate * (hours - start_h)).

    `fit` has the logarithms of floor, start and rate as coefficients, from a linear approximation at the best curve;
    `swing` is as in `Parabola`.
    """

    start_h: float
    fit: LinearFit
    swing: Estimate

    @property
    def capacity_percent(self) -> float:
        """Where it levels off."""
        return float(np.exp(-self.fit.coefficients[0]))

    def rate_at(self, hours: float) -> Estimate:
        """Growth rate of the curve at a time, per hour."""
        logs = self.fit.coefficients
        floor, start, rate = np.exp(logs)
        passed = hours - self.start_h
        share = float(start * np.exp(-rate * passed) / (floor + start * np.exp(-rate * passed)))
        slowing = 1 - share
        # log(rate_at) = log(rate) + log(share); how it changes with the three logarithms.
        slope = np.array([-slowing, slowing, 1 - rate * passed * slowing])
        known, centre = self.fit.estimate(slope), float(logs[2] + np.log(share))
        low, high = known.low - known.value, known.high - known.value
        return Estimate(float(np.exp(centre)), float(np.exp(centre + low)), float(np.exp(centre + high)))

    def percent_at(self, hours: Values) -> Values:
        """Confluency of the curve."""
        floor, start, rate = np.exp(self.fit.coefficients)
        return np.asarray(1 / (floor + start * np.exp(-rate * (hours - self.start_h))))

    def arrival_h(self, target_percent: float) -> float:
        """When the curve reaches the target; infinite where it levels off below."""
        return float(_logistic_arrivals(self.fit.coefficients[None], target_percent)[0]) + self.start_h

    def draw_arrivals(self, target_percent: float) -> Values:
        """Draw times at which the target is reached, ``(DRAWS,)`` in hours; infinite where it never is."""
        return _logistic_arrivals(self.fit.draw(DRAWS), target_percent) + self.start_h


def fit_parabola(hours: Values, percent: Values) -> Parabola:
    """Fit a parabola to ``(n,)`` logarithms of percent, n at least 5."""
    start, span = float(hours[0]), float(np.ptp(hours))
    place = 2 * (hours - start) / span - 1
    design = np.column_stack([np.ones_like(place), place, place**2])
    logs = np.log(percent)
    return Parabola(start, span, fit_linear(design, logs, hours), _swing(design, logs, hours))


def fit_exponential(hours: Values, percent: Values) -> Exponential:
    """Fit a straight line to ``(n,)`` logarithms of percent, n at least 5."""
    design, logs = np.column_stack([np.ones_like(hours), hours]), np.log(percent)
    return Exponential(fit_linear(design, logs, hours), _swing(design, logs, hours))


def fit_logistic(hours: Values, percent: Values) -> Logistic | None:
    """Fit a logistic curve to ``(n,)`` logarithms of percent, n at least 5; None where none comes near."""
    from scipy.optimize import least_squares

    passed, logs = hours - hours[0], np.log(percent)

    def curve(parameters: Values) -> tuple[Values, Values]:
        floor, start, rate = np.exp(np.clip(parameters, -40, 40))
        falling = start * np.exp(-rate * passed)
        whole = floor + falling
        slopes = np.column_stack([-floor / whole, -falling / whole, rate * passed * falling / whole])
        return -np.log(whole), slopes

    span = float(passed[-1])
    guess = np.log([1 / (1.5 * percent.max()), 1 / percent[0], 4 / span])
    found = least_squares(lambda at: curve(at)[0] - logs, guess, jac=lambda at: curve(at)[1], x_scale="jac")
    best = np.asarray(found.x, np.float64)
    fitted, slopes = curve(best)
    if not found.success or np.linalg.cond(slopes) > 1e6:
        return None
    sought = logs - fitted + slopes @ best
    return Logistic(float(hours[0]), fit_linear(slopes, sought, hours), _swing(slopes, sought, hours))


def _swing(design: Values, values: Values, hours: Values) -> Estimate:
    cubic = (2 * (hours - hours[0]) / np.ptp(hours) - 1) ** 3
    return fit_linear(np.column_stack([design, cubic]), values, hours).estimate(np.eye(design.shape[1] + 1)[-1])


def _logistic_arrivals(parameters: Values, target_percent: float) -> Values:
    floor, start, rate = np.exp(np.clip(parameters, -300, 300)).T
    left = 1 / target_percent - floor
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(left > 0, (np.log(start) - np.log(np.maximum(left, 1e-300))) / rate, np.inf)
