"""The folder that the service reads: written beside its place, verified there, then put in place in one step."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import BundleError
from monolayer_core.model_card import (
    MODEL_NAME,
    TEST_INPUT_NAME,
    TEST_OUTPUT_NAME,
    ModelCard,
    read_card,
    sha256_of_file,
    verify_files,
    write_card,
)
from monolayer_export.errors import ExportError
from monolayer_export.session import onnx_predict


@contextmanager
def replacing(target: Path, *, force: bool) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `target` when the block ends without an error.

    An existing `target` stays untouched until then, and is put back should the exchange fail.

    Raises
    ------
    ExportError
        `target` exists and `force` is not given, or it is not a folder.
    """
    refuse_existing(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-", ignore_cleanup_errors=True) as place:
        fresh = Path(place) / "new"
        fresh.mkdir()
        yield fresh
        _exchange(fresh, target, former=Path(place) / "former")


def _exchange(fresh: Path, target: Path, *, former: Path) -> None:
    try:
        if target.exists():
            target.rename(former)
        fresh.rename(target)
    except BaseException:  # Ctrl-C between the two renames included
        if former.exists() and not target.exists():
            former.rename(target)
        raise


def refuse_existing(target: Path, *, force: bool) -> None:
    """Stop before any work is done where the result could not be written.

    Raises
    ------
    ExportError
        `target` exists and `force` is not given, or it is not a folder.
    """
    if target.exists() and not target.is_dir():
        raise ExportError(f"{target} is a file: give the folder of the bundle")
    if target.exists() and not force and any(target.iterdir()):
        raise ExportError(f"{target} exists: give --force to replace it")


def write_bundle(folder: Path, card: ModelCard, model: bytes, test_input: TileBatch) -> ModelCard:
    """Write network, test tensors and card into an empty folder.

    The stored answer is what onnxruntime gives on this processor; the service recomputes it when it loads the bundle.

    Returns
    -------
    ModelCard
        The card with the digests of the files.
    """
    (folder / MODEL_NAME).write_bytes(model)
    np.save(folder / TEST_INPUT_NAME, test_input, allow_pickle=False)
    np.save(folder / TEST_OUTPUT_NAME, onnx_predict(model)(test_input), allow_pickle=False)
    names = (MODEL_NAME, TEST_INPUT_NAME, TEST_OUTPUT_NAME)
    card = card.model_copy(update={"files": {name: sha256_of_file(folder / name) for name in names}})
    write_card(card, folder)
    return card


def verify_bundle(folder: Path) -> ModelCard:
    """Read a bundle as the service does: card, digests, and the test tensors computed again at their fixed side.

    Raises
    ------
    BundleError
        The card is not valid, a file is damaged, or the network's answer is not the stored one.
    """
    card = read_card(folder)
    verify_files(card, folder)
    test_input, stored = (np.load(folder / name, allow_pickle=False) for name in (TEST_INPUT_NAME, TEST_OUTPUT_NAME))
    answer = onnx_predict((folder / MODEL_NAME).read_bytes(), side=test_input.shape[1])(test_input)
    if answer.shape != stored.shape or np.abs(answer.astype(np.int16) - stored).max() > 1:
        raise BundleError(f"{folder / MODEL_NAME} does not give {TEST_OUTPUT_NAME}")
    return card
