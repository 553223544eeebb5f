"""How sure a mean over images is: bootstrap intervals over groups.

Images of one field, plate or patient resemble each other, so the group is drawn, never the image: an interval over
single images would be too narrow.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval; `low` and `high` are None where there are fewer than two groups."""

    mean: float
    low: float | None
    high: float | None


def bootstrap_mean(
    values: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean over images with the percentile interval of a bootstrap over groups.

    Groups are drawn with replacement, as many as there are, and all images of a drawn group count. One group alone says
    nothing about the spread between groups, so there is no interval then.

    Method: Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics 1979; the cluster bootstrap of
    Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8.

    Parameters
    ----------
    values : sequence of float
        One per image, at least one.
    groups : sequence, optional
        The group of each image; each image its own group where not given.
    level : float
        Share of the bootstrap means inside the interval.
    repeats : int
        Number of bootstrap draws.
    seed : int
        Seed of the draws; the same input gives the same interval.

    Raises
    ------
    ValueError
        There are no values, a value is not finite, or `groups` has another length.
    """
    scores = np.asarray(values, dtype=np.float64)
    names = list(range(scores.size)) if groups is None else list(groups)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError("a mean needs at least one value, all of them finite")
    if len(names) != scores.size:
        raise ValueError(f"{len(names)} groups for {scores.size} values")
    number_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
    mean = float(scores.mean())
    if len(number_of) < 2:
        return Interval(mean, None, None)

    index = np.array([number_of[name] for name in names])
    sums, sizes = np.bincount(index, weights=scores), np.bincount(index)
    draws = np.random.default_rng(seed).multinomial(sums.size, np.full(sums.size, 1 / sums.size), size=repeats)
    means = (draws @ sums) / (draws @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))
