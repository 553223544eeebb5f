"""Least squares for series whose deviations resemble their neighbours', with intervals that allow for it.

Deviations are taken for a first-order autoregressive process. How strong the correlation is cannot be told well from a
few values, and a single estimate of it, which comes out too low, makes intervals too narrow. So no single one is
believed: results are averaged over all correlations, weighted by how likely the values make each (A. Zellner and
G. C. Tiao, Journal of the American Statistical Association 59 (1964), 763-778, with flat priors of the coefficients and
of the logarithm of the deviations' size, and that of Jeffreys for the correlation).

Needs the extra ``reports``.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]

CONFIDENCE = 0.95

_CORRELATIONS = np.sin(np.linspace(0.0, np.arcsin(0.97), 25))
"""Equally likely beforehand: by Jeffreys' prior, 1 / sqrt(1 - r**2), r is the sine of a uniform angle."""

_LEAST_DEVIATION = 1e-9
"""Values of a computed curve deviate by rounding alone; no deviation at all could not be weighed."""


@dataclass(frozen=True)
class Estimate:
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Coefficients as a mixture of Student's distributions, one for each correlation.

    Attributes
    ----------
    weights : float64 (correlation,)
        How likely each is; they sum to 1.
    means : float64 (correlation, coefficient)
        Centre of each distribution.
    scales : float64 (correlation, coefficient, coefficient)
        Its squared scale: the covariance but for the factor of the degrees of freedom.
    freedom : int
        Degrees of freedom.
    """

    weights: Values
    means: Values
    scales: Values
    freedom: int

    @property
    def coefficients(self) -> Values:
        """The estimates, ``(coefficient,)``."""
        return np.asarray(self.weights @ self.means)

    def estimate(self, contrast: Values) -> Estimate:
        """Estimate a weighted sum of the coefficients, given the weights ``(coefficient,)``."""
        from scipy.optimize import brentq
        from scipy.special import stdtr, stdtrit

        centres = self.means @ contrast
        widths = np.sqrt(np.einsum("i,gij,j->g", contrast, self.scales, contrast))
        reach = stdtrit(self.freedom, (1 + CONFIDENCE) / 2) * widths
        lowest, highest = float((centres - reach).min()), float((centres + reach).max())

        def quantile(share: float) -> float:
            def beyond(value: float) -> float:
                return float(self.weights @ stdtr(self.freedom, (value - centres) / widths)) - share

            # Each component has this quantile between the two ends, and so has the mixture.
            return float(brentq(beyond, lowest - 1e-12, highest + 1e-12))

        return Estimate(float(self.weights @ centres), quantile((1 - CONFIDENCE) / 2), quantile((1 + CONFIDENCE) / 2))

    def draw(self, count: int) -> Values:
        """Draw ``(count, coefficient)`` coefficients, the same ones each time."""
        random = np.random.default_rng(0)
        chosen = random.choice(len(self.weights), count, p=self.weights)
        roots = np.linalg.cholesky(self.scales)[chosen]
        normal = random.standard_normal((count, self.means.shape[1]))
        spread = np.sqrt(self.freedom / random.chisquare(self.freedom, count))
        return np.asarray(self.means[chosen] + spread[:, None] * np.einsum("nij,nj->ni", roots, normal))


def fit_linear(design: Values, values: Values, hours: Values) -> LinearFit:
    """Fit ``values = design @ coefficients`` plus deviations that are alike the more, the closer they are in time.

    Parameters
    ----------
    design
        ``(n, coefficient)``, n greater than the number of coefficients.
    values
        ``(n,)``.
    hours
        ``(n,)``, ascending. A correlation is that of values as far apart as neighbours mostly are.
    """
    gaps = np.diff(hours)
    usual = float(np.median(gaps))
    likeness = _CORRELATIONS[:, None] ** np.maximum(gaps / usual, 0.01)
    news = 1 - likeness**2
    columns = np.column_stack([design, values])
    whitened = np.empty((len(_CORRELATIONS), *columns.shape))
    whitened[:, 0] = columns[0]
    whitened[:, 1:] = (columns[1:] - likeness[..., None] * columns[:-1]) / np.sqrt(news)[..., None]
    known, sought = whitened[..., :-1], whitened[..., -1]
    normal = np.einsum("gni,gnj->gij", known, known)
    inverse = np.linalg.inv(normal)
    means = np.einsum("gij,gnj,gn->gi", inverse, known, sought)
    freedom = design.shape[0] - design.shape[1]
    deviations = sought - np.einsum("gni,gi->gn", known, means)
    squares = np.maximum((deviations**2).sum(axis=1), freedom * _LEAST_DEVIATION**2)
    # Of the correlation alone, with coefficients and size of the deviations integrated out.
    log_likelihood = -(np.log(news).sum(axis=1) + np.linalg.slogdet(normal)[1] + freedom * np.log(squares)) / 2
    weights = np.exp(log_likelihood - log_likelihood.max())
    return LinearFit(weights / weights.sum(), means, inverse * (squares / freedom)[:, None, None], freedom)
