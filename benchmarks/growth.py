"""How often the intervals of ``monolayer series`` hold the truth: series are made up, their rates are known.

python -m benchmarks.growth --output benchmarks/results
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmarks.tables import markdown_table

from monolayer_client.arrival import arrival_at
from monolayer_client.correlated_fit import Estimate
from monolayer_client.growth import fit_growth

Values = npt.NDArray[np.float64]

WATCHED_H = 48.0
DEVIATION = 0.04
"""Standard deviation of a value, as a part of it."""

IMAGES = (8, 20, 60)
CORRELATIONS = (0.0, 0.5, 0.8, 0.9)
"""Of neighbouring images."""

COLUMNS = (
    "truth",
    "images",
    "correlation",
    "change shown",
    "slowing",
    "rate given",
    "holds",
    "forecast given",
    "holds",
)
TITLE = "# Do the intervals of `monolayer series` hold the truth?"
EXPLANATION = f"""\
`python -m benchmarks.growth`, {{series}} made-up series a line, each over {WATCHED_H:g} hours. Every value deviates by
{100 * DEVIATION:g} % (standard deviation), and the deviations of neighbouring images have the correlation of the third
column. *Change shown*: said to grow or shrink. *Slowing*: a logistic curve was fitted. *Holds*: of the intervals that
were given, those that hold the truth, which is the rate at the first image where growth is said to slow, else the mean
rate of all images. Gompertz's curve is neither of the two that are fitted."""


@dataclass(frozen=True)
class Truth:
    """A curve of percent over hours, and the confluency whose time is asked for after `WATCHED_H`."""

    name: str
    percent_at: Callable[[Values], Values]
    target_percent: float

    def rate_at(self, hours: float) -> float:
        """Relative growth per hour."""
        around = np.log(self.percent_at(np.array([hours - 1e-4, hours + 1e-4])))
        return float(np.diff(around)[0] / 2e-4)

    def mean_rate(self) -> float:
        """Relative growth per hour from the first image to the last."""
        return float(np.diff(np.log(self.percent_at(np.array([0.0, WATCHED_H]))))[0] / WATCHED_H)

    def arrival_h(self) -> float:
        """When the target is reached."""
        hours = np.linspace(0, 10 * WATCHED_H, 1_000_001)
        return float(np.interp(self.target_percent, self.percent_at(hours), hours))


TRUTHS = (
    Truth("exponential, 24 h", lambda hours: 8 * 2 ** (hours / 24), 48.0),
    Truth("logistic, 12 h", lambda hours: 100 / (1 + 19 * 2 ** (-hours / 12)), 70.0),
    Truth("logistic, 20 h", lambda hours: 100 / (1 + 9 * 2 ** (-hours / 20)), 60.0),
    Truth("Gompertz", lambda hours: 100 * np.exp(-3 * np.exp(-0.03 * hours)), 70.0),
)
FLAT = Truth("flat", lambda hours: np.full_like(hours, 25.0), 70.0)


@dataclass
class Tally:
    """Of series of one kind: how many got a figure, and how many of these held the truth."""

    series: int = 0
    growing: int = 0
    changing: int = 0
    logistic: int = 0
    rates: int = 0
    rates_held: int = 0
    forecasts: int = 0
    forecasts_held: int = 0


def deviations(count: int, correlation: float, random: np.random.Generator) -> Values:
    """Stationary, of unit variance, those of neighbours correlated."""
    values = random.standard_normal(count)
    for i in range(1, count):
        values[i] = correlation * values[i - 1] + np.sqrt(1 - correlation**2) * values[i]
    return values


def tally(truth: Truth, images: int, correlation: float, series: int) -> Tally:
    """Make up series and look what is said of each: against the mean rate where growth is said to be exponential,
    against that at the first image where it is said to slow.
    """
    found = Tally(series)
    hours = np.linspace(0, WATCHED_H, images)
    arrival_h = truth.arrival_h() if truth is not FLAT else np.inf
    for seed in range(series):
        noise = DEVIATION * deviations(images, correlation, np.random.default_rng((seed, images)))
        percent = truth.percent_at(hours) * np.exp(noise)
        growth = fit_growth(hours, percent)
        found.growing += growth.verdict == "growing"
        found.changing += growth.verdict in ("growing", "shrinking")
        if growth.rate is not None:
            slows = growth.last_rate is not None
            found.logistic += slows
            found.rates += 1
            found.rates_held += holds(growth.rate, truth.rate_at(0.0) if slows else truth.mean_rate())
        arrival = arrival_at(truth.target_percent, hours, percent, growth)
        if arrival.kind == "forecast" and arrival.low is not None and arrival.high is not None:
            found.forecasts += 1
            found.forecasts_held += arrival.low <= arrival_h <= arrival.high
    return found


def holds(known: Estimate, truth: float) -> bool:
    return known.low <= truth <= known.high


def rows(series: int) -> Iterable[list[str]]:
    for truth in (*TRUTHS, FLAT):
        for images in IMAGES:
            for correlation in CORRELATIONS:
                found = tally(truth, images, correlation, series)
                print(truth.name, images, correlation, found, file=sys.stderr, flush=True)
                yield row(truth.name, images, correlation, found)


def row(name: str, images: int, correlation: float, found: Tally) -> list[str]:
    return [
        name,
        str(images),
        f"{correlation:g}",
        share(found.changing, found.series),
        share(found.logistic, found.series),
        share(found.rates, found.series),
        share(found.rates_held, found.rates),
        share(found.forecasts, found.series),
        share(found.forecasts_held, found.forecasts),
    ]


def share(part: int, of: int) -> str:
    """Percent; a dash where fewer than 20 say nothing."""
    return f"{100 * part / of:.0f} %" if of >= 20 else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200, help="made up for each line")
    parser.add_argument("--output", type=Path, help="folder for growth.md; without it the table is printed")
    arguments = parser.parse_args()
    table = markdown_table(COLUMNS, rows(arguments.series))
    text = f"{TITLE}\n\n{EXPLANATION.format(series=arguments.series)}\n\n{table}\n"
    if arguments.output is None:
        print(text)
    else:
        (arguments.output / "growth.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
