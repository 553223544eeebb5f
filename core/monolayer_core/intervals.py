"""How sure a mean over images is: bootstrap intervals over groups.

Images of one field, plate or patient resemble each other, so the group is drawn, never the image: an interval over
single images would be too narrow.
"""

from collections.abc import Hashable, Mapping, Sequence
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
    return bootstrap_means({"": values}, groups, level=level, repeats=repeats, seed=seed)[""]


def bootstrap_means(
    columns: Mapping[str, Sequence[float]],
    groups: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Do as `bootstrap_mean` for several scores of the same images, by the same draws.

    Raises
    ------
    ValueError
        There are no values, a value is not finite, or the lengths differ.
    """
    table = np.array([*columns.values()], dtype=np.float64).T
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError("a mean needs at least one value, all of them finite")
    names = list(range(len(table))) if groups is None else list(groups)
    if len(names) != len(table):
        raise ValueError(f"{len(names)} groups for {len(table)} values")
    number_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
    count = len(number_of)
    means = table.mean(axis=0).tolist()
    if count < 2:
        return {name: Interval(mean, None, None) for name, mean in zip(columns, means, strict=True)}

    index = np.array([number_of[name] for name in names])
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, index, table)
    # How often each group is drawn; floats, so that the products below are matrix products of the fast kind.
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=repeats).astype(np.float64)
    drawn_means = (draws @ sums) / (draws @ np.bincount(index).astype(np.float64))[:, None]
    low, high = np.quantile(drawn_means, [(1 - level) / 2, (1 + level) / 2], axis=0).tolist()
    return {name: Interval(*values) for name, *values in zip(columns, means, low, high, strict=True)}
