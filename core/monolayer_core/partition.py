"""K-means on what an image holds few of: grey levels and colours, each with the number of pixels that have it.

Clustering a million pixels repeats the same arithmetic for every pixel of one grey level. The histogram says the same
with at most 256 weighted points, and on a line the best clusters are intervals, so that dynamic programming finds the
global optimum for every number of clusters at once (Wang & Song, "Ckmeans.1d.dp", The R Journal 3/2, 2011).
Colours have no such order: there scikit-learn's K-means runs on the colours that occur, weighted by their counts. It
starts from the optimum along their principal axis, which makes it deterministic and blind to an inversion of the image
(after Su & Dy, "In search of deterministic methods for initializing K-means", Intelligent Data Analysis 11/4, 2007).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_CLUSTERS = 8
"""The largest number of clusters that may be asked for."""

WHOLE_GROUND = 0.9
"""A cluster that is added to find fainter objects may take a tenth of the pixels of the ground; one that takes more
divides the ground by its own noise or unevenness."""


@dataclass(frozen=True)
class LinePartitions:
    """The best partitions of weighted points on a line into 1, 2, … clusters.

    Attributes
    ----------
    starts
        ``starts[k - 1]`` holds the index of the first point of each of the k clusters, ascending from 0.
    inertia
        ``inertia[k - 1]`` is the weighted sum of squared distances to the cluster means, the least there can be.
    """

    starts: tuple[Integers, ...]
    inertia: Floats


def partition_line(values: Floats, weights: npt.ArrayLike, most: int) -> LinePartitions:
    """Partition weighted points on a line into up to `most` clusters, each time at the global optimum.

    Takes time proportional to ``most * len(values) ** 2`` in a few array operations: 1 ms for 256 points.

    Parameters
    ----------
    values
        Distinct positions, ascending.
    weights
        Weight of each point, positive.
    most
        Largest number of clusters; with fewer points than that, one cluster for each point is the last partition.

    Examples
    --------
    >>> found = partition_line(np.array([0.0, 1.0, 10.0, 12.0]), [1, 1, 1, 1], most=2)
    >>> found.starts[1].tolist(), found.inertia.tolist()
    ([0, 2], [112.75, 2.5])
    """
    count = len(values)
    within = _interval_inertia(values, np.asarray(weights, dtype=np.float64))
    best = within[0]
    inertia = [best[-1]]
    first_of_last: list[Integers] = []
    for _ in range(1, min(most, count)):
        # The last cluster is i..j and everything before i is partitioned at best into one cluster fewer.
        candidates = within.copy()
        candidates[1:] += best[:-1, np.newaxis]
        candidates[0] = np.inf
        first = candidates.argmin(axis=0)
        best = candidates[first, np.arange(count)]
        first_of_last.append(first)
        inertia.append(best[-1])
    starts = [_trace_back(first_of_last[:clusters], count) for clusters in range(len(inertia))]
    return LinePartitions(tuple(starts), np.array(inertia))


def _interval_inertia(values: Floats, weights: Floats) -> Floats:
    """Inertia of the points i to j (inclusive) as one cluster at ``[i, j]``, infinite where i > j."""
    centred = values - np.average(values, weights=weights)  # keeps the difference of squares below from cancelling
    weight, moment, square = (
        np.concatenate(([0.0], np.cumsum(weights * power))) for power in (np.ones_like(centred), centred, centred**2)
    )
    count = len(values)
    upper = np.triu(np.ones((count, count), dtype=np.bool_))
    total = np.where(upper, weight[np.newaxis, 1:] - weight[:-1, np.newaxis], 1.0)
    spread = (square[np.newaxis, 1:] - square[:-1, np.newaxis]) - (
        moment[np.newaxis, 1:] - moment[:-1, np.newaxis]
    ) ** 2 / total
    return np.where(upper, np.maximum(spread, 0.0), np.inf)


def _trace_back(first_of_last: list[Integers], count: int) -> Integers:
    starts, end = [], count - 1
    for first in reversed(first_of_last):
        start = int(first[end])
        starts.append(start)
        end = start - 1
    return np.array([0, *reversed(starts)], dtype=np.int64)


def fewest_clusters(inertia: Floats, explained: float, ground: npt.ArrayLike | None = None) -> int:
    """Smallest number of clusters whose means explain a given share of the variance without dividing the ground.

    Parameters
    ----------
    inertia
        Inertia of 1, 2, … clusters, as in `LinePartitions`.
    explained
        Wanted share, 0 to 1, of the inertia about the common mean.
    ground
        Pixels in the cluster of the ground for 1, 2, … clusters. One more cluster is not taken where the ground would
        keep less than `WHOLE_GROUND` of what it has among two.

    Returns
    -------
    int
        At least 2 where there are two partitions to choose from; the largest number there is where none explains
        enough.

    Examples
    --------
    >>> fewest_clusters(np.array([100.0, 30.0, 10.0, 4.0]), explained=0.85)
    3
    >>> fewest_clusters(np.array([100.0, 30.0, 10.0, 4.0]), explained=0.85, ground=[1000, 900, 500, 400])
    2
    """
    kept = np.full(len(inertia), np.inf) if ground is None else np.asarray(ground, dtype=np.float64)
    for k in range(2, len(inertia)):
        if inertia[k - 1] <= (1.0 - explained) * inertia[0] or kept[k] < WHOLE_GROUND * kept[1]:
            return k
    return len(inertia)
