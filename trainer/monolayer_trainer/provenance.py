"""Where a run comes from: the data set, by digest, and the versions of everything that took part."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from monolayer_core.model_card import sha256_of_file
from monolayer_trainer.dataset import DATASET_NAME, SPLIT_NAME, Dataset
from monolayer_trainer.run_folder import RunError, RunFolder
from monolayer_trainer.tables import write_whole

PACKAGES = ("monolayer-trainer", "monolayer-core", "keras", "tensorflow", "jax", "numpy", "opencv-python-headless")


class Provenance(BaseModel):
    """What a run was made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    dataset_folder: str
    dataset_sha256: str
    split_sha256: str
    versions: dict[str, str]


def write_provenance(folder: RunFolder, dataset: Dataset) -> None:
    """Write where the run comes from."""
    provenance = Provenance(
        dataset=dataset.name,
        dataset_folder=str(dataset.folder.resolve()),
        dataset_sha256=sha256_of_file(dataset.folder / DATASET_NAME),
        split_sha256=sha256_of_file(dataset.folder / SPLIT_NAME),
        versions=installed_versions(),
    )
    write_whole(folder.provenance, provenance.model_dump_json(indent=2) + "\n")


def refuse_other_data(folder: RunFolder, dataset: Dataset) -> None:
    """Refuse to go on with other images, or another split of them, than a run was begun with.

    Images trained on could otherwise be scored as if they had never been seen. A run that ended before it wrote where
    it comes from has not trained either.

    Raises
    ------
    RunError
        The data set or its split has changed, or it is another one.
    """
    if not folder.provenance.exists():
        return
    begun = Provenance.model_validate_json(folder.provenance.read_bytes())
    for name, digest in ((DATASET_NAME, begun.dataset_sha256), (SPLIT_NAME, begun.split_sha256)):
        path = dataset.folder / name
        if sha256_of_file(path) != digest:
            raise RunError(f"{path} is not the one {folder.path} was begun with ({begun.dataset_folder}): a new run?")


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that are installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def dataset_of(folder: RunFolder) -> Path:
    """Folder of the data set a run was trained on.

    Raises
    ------
    RunError
        The run does not say, or the data set is no longer there.
    """
    if not folder.provenance.exists():
        raise RunError(f"{folder.path} does not say what it was trained on: name the data set")
    path = Path(Provenance.model_validate_json(folder.provenance.read_bytes()).dataset_folder)
    if not (path / DATASET_NAME).exists():
        raise RunError(f"the data set {path} is no longer there: name the data set")
    return path
