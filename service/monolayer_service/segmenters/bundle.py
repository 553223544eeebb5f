"""Opening a bundle: nothing in it is believed before it was compared.

Digests first, then the graph against the card, then the network against its test tensors.
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import BundleError
from monolayer_core.model_card import (
    MODEL_NAME,
    TEST_INPUT_NAME,
    TEST_OUTPUT_NAME,
    ModelCard,
    read_card,
    verify_files,
)
from monolayer_service.segmenters.session import INPUT_NAME, OUTPUT_NAME, Network, TileSize

TEST_TOLERANCE = 2
"""Largest difference of a test probability, in steps of 1/255: sums of floats differ between processors."""

TEST_OUTLIERS = 1e-3
"""Share of test probabilities that may differ by more: at a steep edge rounding tips single pixels."""

_REQUIRED_FILES = (MODEL_NAME, TEST_INPUT_NAME, TEST_OUTPUT_NAME)


def open_bundle(folder: Path, *, prefer_cuda: bool, threads: int) -> Network:
    """Open and verify a bundle.

    Raises
    ------
    BundleError
        A file is missing or damaged, the card is not valid or belongs to another folder, the graph is not what the card
        says, or the network does not reproduce its test tensors.
    """
    card = read_card(folder)
    if card.name != folder.name:
        raise BundleError(f"the card is that of {card.name!r}, the folder is called {folder.name!r}")
    if missing := [name for name in _REQUIRED_FILES if name not in card.files]:
        raise BundleError(f"the card lists no digest of {', '.join(missing)}")
    verify_files(card, folder)
    network = Network(folder / MODEL_NAME, card, prefer_cuda=prefer_cuda, threads=threads)
    tiles, expected = _read_tensor(folder / TEST_INPUT_NAME), _read_tensor(folder / TEST_OUTPUT_NAME)
    size = TileSize(*tiles.shape[1:3])
    _compare_graph(network.open(size), card, size)
    _compare_answer(network.run(tiles), expected)
    return network


def _read_tensor(path: Path) -> TileBatch:
    try:
        with path.open("rb") as file:
            tensor: TileBatch = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise BundleError(f"{path.name} cannot be read: {error}") from error
    if tensor.ndim != 4 or tensor.dtype != np.uint8:
        raise BundleError(f"{path.name} is {tensor.dtype} {tensor.shape}, not uint8 (n, y, x, c)")
    return tensor


def _compare_graph(session: ort.InferenceSession, card: ModelCard, size: TileSize) -> None:
    _compare_port("input", session.get_inputs(), INPUT_NAME, (size.height, size.width, card.channel_count))
    _compare_port("output", session.get_outputs(), OUTPUT_NAME, (size.height, size.width, len(card.outputs)))


def _compare_port(kind: str, ports: list[ort.NodeArg], name: str, shape: tuple[int, int, int]) -> None:
    """Compare name, type and sizes; a size the graph leaves open (a name) is settled by the test tensors."""
    if len(ports) != 1 or ports[0].name != name or ports[0].type != "tensor(uint8)":
        found = ", ".join(f"{port.name}: {port.type}" for port in ports)
        raise BundleError(f"the network's {kind} must be one uint8 tensor called {name!r}, found {found}")
    found_shape = ports[0].shape
    sizes = zip(found_shape[1:], shape, strict=False)
    if len(found_shape) != 4 or any(isinstance(found, int) and found != wanted for found, wanted in sizes):
        raise BundleError(f"the network's {kind} has the shape {found_shape}, the card asks for (n, {str(shape)[1:]}")


def _compare_answer(answer: TileBatch, expected: TileBatch) -> None:
    if answer.shape != expected.shape:
        raise BundleError(f"the test answer has the shape {answer.shape}, expected {expected.shape}")
    distance = np.abs(answer.astype(np.int16) - expected)
    outliers = np.count_nonzero(distance > TEST_TOLERANCE) / distance.size
    if outliers > TEST_OUTLIERS:
        raise BundleError(
            f"the network does not reproduce its test tensors: {100 * outliers:.2f} % of the values differ by more "
            f"than {TEST_TOLERANCE}/255, at most by {distance.max()}/255"
        )
