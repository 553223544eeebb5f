"""The folds of a cross-validation: a table that says which image is held out in which, ``folds.csv``.

Like a split, folds are data: they are dealt once, and a table that is there is read, whoever wrote it.
"""

from pathlib import Path

import numpy as np

from monolayer_trainer.dataset import Dataset
from monolayer_trainer.dealing import deal, imbalance, number_kinds
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.tables import read_rows, write_rows

DEFAULT_FOLDS = 5


def folds_of(path: Path, dataset: Dataset, count: int | None, seed: int) -> dict[str, int]:
    """Read the folds where the table is there; deal them and write it elsewhere.

    Parameters
    ----------
    path
        The table.
    dataset
        All its images are dealt, those of the validation side too.
    count
        Number of folds; None takes those of the table, or `DEFAULT_FOLDS`.
    seed
        Decides the dealing.

    Returns
    -------
    dict
        Image name to fold, from 1 on, in the order of the data set.

    Raises
    ------
    DatasetError
        There are fewer groups than folds, fewer than two folds, or the table does not fit the data set or the count.
    """
    if path.exists():
        fold_of = read_folds(path, dataset)
        found = max(fold_of.values())
        if count not in (None, found):
            raise DatasetError(f"{path} has {found} folds, not {count}: leave out --folds or choose another folder")
        return fold_of
    fold_of = deal_folds(dataset, count or DEFAULT_FOLDS, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_folds(path, dataset, fold_of)
    return fold_of


def deal_folds(dataset: Dataset, count: int, seed: int) -> dict[str, int]:
    """Deal all images of a data set into folds, whole groups together, every modality spread evenly.

    Of several dealings the most even one is taken. The fold of each image is numbered from 1.

    Raises
    ------
    DatasetError
        There are fewer than two folds, or fewer groups than folds.
    """
    groups = [sample.group for sample in dataset.samples]
    if count < 2:
        raise DatasetError(f"a cross-validation has two folds or more, not {count}")
    if len(set(groups)) < count:
        raise DatasetError(f"{dataset.folder} has {len(set(groups))} groups of images: too few for {count} folds")
    kinds = number_kinds([sample.modality for sample in dataset.samples], count)
    dealings = deal(groups, kinds, count, seed)
    best = min(dealings, key=lambda folds: sum(imbalance(fold, kinds, 1 / count) for fold in folds))
    number = np.zeros(len(groups), np.intp)
    for index, fold in enumerate(best, start=1):
        number[fold] = index
    return {sample.id: int(fold) for sample, fold in zip(dataset.samples, number, strict=True)}


def write_folds(path: Path, dataset: Dataset, fold_of: dict[str, int]) -> None:
    """Write the table ``ImageId,group,modality,fold``, one row per image."""
    write_rows(
        path,
        [
            {"ImageId": s.id, "group": s.group, "modality": s.modality, "fold": str(fold_of[s.id])}
            for s in dataset.samples
        ],
    )


def read_folds(path: Path, dataset: Dataset) -> dict[str, int]:
    """Read the table and see that it deals this data set as it must be dealt.

    Raises
    ------
    DatasetError
        The table does not name every image of the data set once, folds are not numbered from 1 without gaps, or a group
        lies in two folds.
    """
    fold_of: dict[str, int] = {}
    for line, row in enumerate(read_rows(path), start=2):
        image_id, fold = row.get("ImageId"), row.get("fold") or ""
        if not image_id or not fold.isdecimal():
            raise DatasetError(f"{path}, line {line}: needs an ImageId and a fold, counted from 1")
        if image_id in fold_of:
            raise DatasetError(f"{path}, line {line}: {image_id} is named twice")
        fold_of[image_id] = int(fold)
    known = {sample.id for sample in dataset.samples}
    if different := known ^ fold_of.keys():
        raise DatasetError(f"{path} and {dataset.folder} do not have the same images: {min(different)} is in one only")
    count = max(fold_of.values(), default=0)
    if count < 2 or set(fold_of.values()) != set(range(1, count + 1)):
        raise DatasetError(f"{path}: folds are numbered from 1 without gaps, and there are two or more")
    first_of: dict[str, int] = {}
    for sample in dataset.samples:
        if first_of.setdefault(sample.group, fold_of[sample.id]) != fold_of[sample.id]:
            raise DatasetError(f"{path}: images of the group {sample.group} lie in several folds")
    return {sample.id: fold_of[sample.id] for sample in dataset.samples}
