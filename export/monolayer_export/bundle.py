"""The folder that the service reads: written beside its place, verified there, then put in place in one step."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import BundleError
from monolayer_core.model_card import (
    TEST_INPUT_NAME,
    ModelCard,
    Precision,
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


def write_bundle(
    folder: Path, card: ModelCard, networks: Mapping[Precision, bytes], test_input: TileBatch
) -> ModelCard:
    """Write networks, test tensors and card into an empty folder.

    The stored answers are what onnxruntime gives on this processor; the service recomputes them when it loads the
    bundle.

    Parameters
    ----------
    folder
        To be filled.
    card
        Describes every one of the networks.
    networks
        Content of the ONNX files by precision, float32 among them.
    test_input
        uint8 ``(n, y, x, channel)``.

    Returns
    -------
    ModelCard
        The card with the digests of the files.

    Raises
    ------
    BundleError
        The card does not describe one of the networks.
    """
    np.save(folder / TEST_INPUT_NAME, test_input, allow_pickle=False)
    names = [TEST_INPUT_NAME]
    for precision, content in networks.items():
        if (own := card.files_of(precision)) is None:
            raise BundleError(f"the card does not describe the {precision} network")
        (folder / own[0]).write_bytes(content)
        np.save(folder / own[1], onnx_predict(content)(test_input), allow_pickle=False)
        names += own
    card = card.model_copy(update={"files": {name: sha256_of_file(folder / name) for name in sorted(names)}})
    write_card(card, folder)
    return card


def verify_bundle(folder: Path) -> ModelCard:
    """Read a bundle as the service does: card, digests, and the test tensors computed again at their fixed side.

    Raises
    ------
    BundleError
        The card is not valid, a file is damaged, or a network's answer is not the stored one.
    """
    card = read_card(folder)
    verify_files(card, folder)
    test_input = np.load(folder / TEST_INPUT_NAME, allow_pickle=False)
    for own in filter(None, map(card.files_of, get_args(Precision))):
        answer = onnx_predict((folder / own[0]).read_bytes(), side=test_input.shape[1])(test_input)
        stored = np.load(folder / own[1], allow_pickle=False)
        if answer.shape != stored.shape or np.abs(answer.astype(np.int16) - stored).max() > 1:
            raise BundleError(f"{folder / own[0]} does not give {own[1]}")
    return card
