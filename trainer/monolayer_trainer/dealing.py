"""Dealing images into folds: whole groups together, the kinds of picture spread evenly.

The split into training and validation and the folds of a cross-validation both choose among the dealings made here.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

DEALINGS = 10
"""Dealings to choose from: scikit-learn's is greedy and not every one is even."""

Indices: TypeAlias = npt.NDArray[np.intp]


def deal(groups: Sequence[str], kinds: Indices, folds: int, seed: int) -> list[list[Indices]]:
    """Deal images into folds by scikit-learn's ``StratifiedGroupKFold``, `DEALINGS` times over.

    Parameters
    ----------
    groups
        For each image the group that must stay together; there are at least as many as folds.
    kinds
        ``(image,)`` the stratum of each image, see `number_kinds`.
    folds
        How many.
    seed
        Decides all dealings.

    Returns
    -------
    list of list of intp (image,)
        The indices of the images in each fold of each dealing.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # heavy, and few commands need it

    random = np.random.RandomState(seed)  # scikit-learn's kind of generator; each dealing goes on where the last ended
    dealer = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=random)
    return [[indices for _, indices in dealer.split(kinds, kinds, groups)] for _ in range(DEALINGS)]


def imbalance(chosen: Indices, kinds: Indices, fraction: float) -> float:
    """Sum over the strata of how far the chosen share is from the wished one, and the same for all together."""
    counts = np.bincount(kinds)
    shares = np.bincount(kinds[chosen], minlength=len(counts)) / counts
    return float(np.abs(shares - fraction).sum() + abs(len(chosen) / len(kinds) - fraction))


def number_kinds(strata: Sequence[str], folds: int) -> Indices:
    """Give each stratum a number, from 0; one with fewer images than folds is counted with the most frequent one."""
    counts = Counter(strata)
    most_frequent = counts.most_common(1)[0][0]
    merged = [stratum if counts[stratum] >= folds else most_frequent for stratum in strata]
    return np.unique(merged, return_inverse=True)[1]
