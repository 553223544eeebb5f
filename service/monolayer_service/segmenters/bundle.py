"""Opening a bundle: nothing in it is believed before it was compared.

Digests first, then the graph against the card, then the network against its test tensors. The files are read once: what
was compared is what answers, also after the folder has changed.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import structlog

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import BundleError
from monolayer_core.model_card import TEST_INPUT_NAME, ModelCard, Precision, read_card, read_verified
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.gpu_runs import GpuMemory
from monolayer_service.segmenters.runtime import CUDA, INPUT_NAME, OPENVINO, OUTPUT_NAME, Port, Session, TileSize
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import CpuRuntime

log = structlog.get_logger(__name__)

TEST_TOLERANCES: dict[Precision, int] = {"float32": 2, "int8": 2, "float16": 8}
"""Largest difference of a test probability by precision, in steps of 1/255.

Sums of floats differ between processors. The integers of int8 do not: its weights are small enough that no processor
runs over, so that only the last, float layer can differ. Half precision has three digits, and its stored answer comes
from a processor, which rounds elsewhere than a GPU."""

OPENVINO_INT8_TOLERANCE = 8
"""The same in int8 under OpenVINO. The sums are the same integers, but between two layers they are rounded to eight
bits at other places than in ONNX Runtime, from which the stored answer comes (docs/adr/0015)."""

TEST_OUTLIERS = 1e-3
"""Share of test probabilities that may differ by more: at a steep edge rounding tips single pixels."""

PrecisionChoice: TypeAlias = Literal["auto"] | Precision


def open_bundle(
    folder: Path,
    *,
    prefer_cuda: bool,
    threads: NetworkThreads,
    precision: PrecisionChoice = "auto",
    cpu_runtime: CpuRuntime = "onnxruntime",
    tf32: bool = False,
    gpu_memory: Callable[[ModelCard], GpuMemory] | None = None,
) -> Network:
    """Open and verify a bundle.

    The float32 file and the one that is to answer are both held against the test tensors, on the provider that answers,
    in runs of one tile.

    Parameters
    ----------
    folder
        Of the bundle.
    prefer_cuda
        Whether to run on a GPU where one works.
    threads
        Of the network.
    precision
        What the operator asked for, see `choose_precision`.
    cpu_runtime
        What computes on a CPU.
    tf32
        Whether a GPU may round the factors of float32 products to ten bits.
    gpu_memory
        Gives what the network of a card may take on a GPU; no bound without it.

    Raises
    ------
    BundleError
        A file is missing or damaged, the card is not valid or belongs to another folder, the graph is not what the card
        says, or a network does not reproduce its test tensors.
    """
    card = read_card(folder)
    if card.name != folder.name:
        raise BundleError(f"the card is that of {card.name!r}, the folder is called {folder.name!r}")
    needed = {TEST_INPUT_NAME, *(name for kind in get_args(Precision) for name in card.files_of(kind) or ())}
    if missing := sorted(needed - card.files.keys()):
        raise BundleError(f"the card lists no digest of {', '.join(missing)}")
    contents = {name: read_verified(card, folder, name) for name in card.files}
    tiles = _read_tensor(contents, TEST_INPUT_NAME)

    def open_verified(kind: Precision) -> Network:
        own = card.files_of(kind)
        if own is None:
            raise BundleError(f"there is no {kind} network")
        network = Network(
            own[0],
            contents[own[0]],
            card,
            prefer_cuda=prefer_cuda,
            threads=threads,
            precision=kind,
            cpu_runtime=cpu_runtime,
            tf32=tf32,
            gpu_memory=gpu_memory and gpu_memory(card),
        )
        size = TileSize(*tiles.shape[1:3])
        _compare_graph(network.open(size), card, size)
        answer = np.concatenate([network.run(tile[np.newaxis]) for tile in tiles])
        _compare_answer(answer, _read_tensor(contents, own[1]), tolerance_of(kind, network.provider))
        return network

    network = open_verified("float32")
    chosen = choose_precision(card, precision, network.provider)
    if chosen != precision != "auto":
        log.warning("precision not available", bundle=card.name, wanted=precision, provider=network.provider)
    return network if chosen == "float32" else open_verified(chosen)


def choose_precision(card: ModelCard, wanted: PrecisionChoice, provider: str) -> Precision:
    """Decide which file of a bundle answers.

    Eight bits are for processors and half precision is for GPUs; elsewhere either is slower than float32. What is not
    in the bundle, or not for this provider, leaves float32.

    Parameters
    ----------
    card
        Says which files there are, and whether int8 is good enough to be the default on a CPU.
    wanted
        The operator's setting.
    provider
        Where the network really runs.
    """
    if card.int8 and provider != CUDA and (wanted == "int8" or (wanted == "auto" and card.int8.default_on_cpu)):
        return "int8"
    if card.float16 and provider == CUDA and wanted == "float16":
        return "float16"
    return "float32"


def tolerance_of(precision: Precision, provider: str) -> int:
    """Largest difference of a test probability, in steps of 1/255, by what computes it."""
    if precision == "int8" and provider == OPENVINO:
        return OPENVINO_INT8_TOLERANCE
    return TEST_TOLERANCES[precision]


def _read_tensor(contents: Mapping[str, bytes], name: str) -> TileBatch:
    try:
        tensor: TileBatch = np.lib.format.read_array(io.BytesIO(contents[name]), allow_pickle=False)
    except (EOFError, MemoryError, ValueError) as error:  # a header may announce more than there is memory for
        raise BundleError(f"{name} cannot be read: {error}") from error
    if tensor.ndim != 4 or tensor.dtype != np.uint8 or tensor.size == 0:
        raise BundleError(f"{name} is {tensor.dtype} {tensor.shape}, not uint8 (n, y, x, c)")
    return tensor


def _compare_graph(session: Session, card: ModelCard, size: TileSize) -> None:
    _compare_port("input", session.inputs, INPUT_NAME, (size.height, size.width, card.channel_count))
    _compare_port("output", session.outputs, OUTPUT_NAME, (size.height, size.width, len(card.outputs)))


def _compare_port(kind: str, ports: list[Port], name: str, shape: tuple[int, int, int]) -> None:
    """Compare name, type and sizes; a size the graph leaves open is settled by the test tensors."""
    if len(ports) != 1 or ports[0].name != name or ports[0].dtype != "uint8":
        found = ", ".join(f"{port.name}: {port.dtype}" for port in ports)
        raise BundleError(f"the network's {kind} must be one uint8 tensor called {name!r}, found {found}")
    found_shape = ports[0].shape
    sizes = zip(found_shape[1:], shape, strict=False)
    if len(found_shape) != 4 or any(isinstance(found, int) and found != wanted for found, wanted in sizes):
        raise BundleError(
            f"the network's {kind} has the shape {list(found_shape)}, the card asks for (n, {str(shape)[1:]}"
        )


def _compare_answer(answer: TileBatch, expected: TileBatch, tolerance: int) -> None:
    if answer.shape != expected.shape:
        raise BundleError(f"the test answer has the shape {answer.shape}, expected {expected.shape}")
    distance = np.abs(answer.astype(np.int16) - expected)
    outliers = np.count_nonzero(distance > tolerance) / distance.size
    if outliers > TEST_OUTLIERS:
        raise BundleError(
            f"the network does not reproduce its test tensors: {100 * outliers:.2f} % of the values differ by more "
            f"than {tolerance}/255, at most by {distance.max()}/255"
        )
