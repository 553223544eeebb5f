"""What every runtime of networks promises: a session for one tile size or for all, and what it is told about it."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from monolayer_core.arrays import TileBatch
from monolayer_service.settings import CpuRuntime

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
OPENVINO = "OpenVINO"
INPUT_NAME = "image"
OUTPUT_NAME = "probabilities"

PROCESSOR_PROVIDERS: dict[CpuRuntime, str] = {"onnxruntime": CPU, "openvino": OPENVINO}
"""What answers call the runtime that computes on a CPU. The first two names above are those of ONNX Runtime."""


@dataclass(frozen=True)
class TileSize:
    """Height and width in pixels that a session is made for."""

    height: int
    width: int


class SessionKey(NamedTuple):
    """What a session is made for.

    Without a `size` it takes tiles of any. `threads` counts the pool of a session and the thread that calls it; each of
    further `runs` at once brings one more. `batch` is the number of tiles in each of its runs, or 0 where it takes any.
    """

    provider: str
    size: TileSize | None
    threads: int
    runs: int
    batch: int = 0


class Port(NamedTuple):
    """An input or output of a graph; a size that the graph leaves open is a name, or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class Session(Protocol):
    """A network ready to run on tiles of the size of its key; may be run by several threads at once."""

    @property
    def provider(self) -> str:
        """Where it really runs."""
        ...

    @property
    def inputs(self) -> list[Port]:
        """What the graph takes."""
        ...

    @property
    def outputs(self) -> list[Port]:
        """What the graph gives."""
        ...

    def run(self, tiles: TileBatch) -> TileBatch:
        """Give ``(n, y, x, output)`` of ``(n, y, x, channel)``, uint8; raises whatever the runtime does."""
        ...

    def trim(self, tile: TileBatch) -> bool:
        """Give back the memory that runs have taken; raises whatever the runtime does.

        Parameters
        ----------
        tile
            ``(1, y, x, channel)`` uint8, to be run where that is what it takes.

        Returns
        -------
        Whether this has given back what all other sessions of the runtime hold, too.
        """
        ...
