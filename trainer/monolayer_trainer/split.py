"""The split into training and validation: whole groups on one side, every stratum on both where it can be.

Images of one group are tiles of one field or near copies. A split by image would put neighbouring tiles on both sides
and the scores would flatter.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from monolayer_trainer.dataset import Subset
from monolayer_trainer.dealing import deal, imbalance, number_kinds

MAX_FOLDS = 20


def split_by_group(
    ids: Sequence[str],
    groups: Sequence[str],
    strata: Sequence[str],
    validation_fraction: float,
    seed: int,
) -> dict[str, Subset]:
    """Assign each image to training or validation.

    The images are dealt into folds by scikit-learn's ``StratifiedGroupKFold``, ten times over; of all the folds those
    become the validation set whose shares of the strata come closest to the wish. A stratum (for example a modality)
    with fewer images than there are folds is counted with the most frequent one.

    Parameters
    ----------
    ids, groups, strata
        For each image its name, the group that must stay together, and the kind to be found on both sides.
    validation_fraction
        Share of the images for validation, 0 to below 1; met as closely as whole groups allow.
    seed
        Decides which groups are drawn.

    Returns
    -------
    dict
        Image name to ``"train"`` or ``"validation"``. With a single group nothing can be held out: all is training.
        From two groups on, both sides have images unless the fraction is 0.

    Raises
    ------
    ValueError
        The three sequences differ in length, a name is given twice, or the fraction is out of range.
    """
    if not len(ids) == len(groups) == len(strata):
        raise ValueError(f"{len(ids)} ids, {len(groups)} groups and {len(strata)} strata do not fit together")
    if len(set(ids)) != len(ids):
        raise ValueError("an image is named twice")
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction must lie in [0, 1), not {validation_fraction}")
    group_count = len(set(groups))
    side_of: dict[str, Subset] = dict.fromkeys(ids, "train")
    if validation_fraction == 0 or group_count < 2:
        return side_of
    folds, held_out = _folds(validation_fraction, group_count)

    kinds = number_kinds(strata, folds)
    candidates = [
        np.concatenate((dealt * 2)[first : first + held_out])
        for dealt in deal(groups, kinds, folds, seed)
        for first in range(folds)
    ]
    best = min(candidates, key=lambda indices: imbalance(indices, kinds, validation_fraction))
    side_of.update((ids[i], "validation") for i in best)
    return side_of


def _folds(fraction: float, group_count: int) -> tuple[int, int]:
    """Give the number of folds and how many of them are held out: 0.2 gives (5, 1), 0.3 gives (10, 3)."""
    ratio = Fraction(fraction).limit_denominator(MAX_FOLDS)
    if 0 < ratio < 1 and ratio.denominator <= group_count:
        return ratio.denominator, ratio.numerator
    folds = min(MAX_FOLDS, group_count)
    return folds, min(max(round(fraction * folds), 1), folds - 1)
