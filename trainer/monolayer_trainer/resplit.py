"""The same images with another split: a prepared data set of its own that holds no pixels.

Everything that trains, evaluates or exports takes a prepared data set and follows its split. So a fold needs no second
way through all of them: it is a folder with ``dataset.json``, which says where the images lie, and ``split.csv``.
"""

import fnmatch
from collections.abc import Collection
from pathlib import Path

from monolayer_trainer.dataset import DATASET_NAME, SPLIT_NAME, Dataset, Subset, write_split
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.tables import write_whole


def choose(dataset: Dataset, *, modalities: Collection[str] = (), groups: Collection[str] = ()) -> set[str]:
    """Names of the images of some kinds and groups.

    Parameters
    ----------
    modalities
        Patterns of kinds of images, with ``*`` and ``?``.
    groups
        Names of groups.

    Raises
    ------
    DatasetError
        A pattern or a name fits no image, nothing is chosen, or no image is left to train on.
    """
    chosen = {
        sample.id
        for sample in dataset.samples
        if sample.group in groups or any(fnmatch.fnmatchcase(sample.modality, pattern) for pattern in modalities)
    }
    kinds = {sample.modality for sample in dataset.samples}
    for pattern in modalities:
        if not fnmatch.filter(kinds, pattern):
            raise DatasetError(f"no image is of the kind {pattern!r}; there are: {', '.join(sorted(kinds))}")
    if unknown := set(groups) - {sample.group for sample in dataset.samples}:
        raise DatasetError(f"there is no group {min(unknown)!r}")
    if not 0 < len(chosen) < len(dataset.samples):
        raise DatasetError(f"{len(chosen)} of {len(dataset.samples)} images would be held out")
    return chosen


def write_resplit(dataset: Dataset, folder: Path, held_out: Collection[str]) -> Path:
    """Write a data set of the same images, of which these are the validation side.

    The same call writes the same bytes, so that a run can tell whether it is still the data set it was begun with.

    Parameters
    ----------
    dataset
        That holds the images; it must stay where it is.
    folder
        To write.
    held_out
        Names of the images for validation.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at = dataset.folder.resolve()
    samples = tuple(
        sample.model_copy(update={"image": str(at / sample.image), "labels": str(at / sample.labels)})
        for sample in dataset.samples
    )
    side_of: dict[str, Subset] = {
        sample.id: "validation" if sample.id in held_out else "train" for sample in dataset.samples
    }
    write_split(folder / SPLIT_NAME, samples, side_of)
    resplit = dataset.model_copy(update={"samples": samples, "prepared_with": {}})
    write_whole(folder / DATASET_NAME, resplit.model_dump_json(indent=1) + "\n")
    return folder
