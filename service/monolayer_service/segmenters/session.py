"""One network file and its sessions: where providers are decided.

On a CPU ONNX Runtime takes tiles of any size in one session, as fast as in one that is made for their size; there is a
second one for runs that share the cores with others. OpenVINO compiles for one size. On a GPU there is a session for
each size and each number of tiles in a run: ONNX Runtime keeps the plan of each convolution for one shape only, and
would plan anew, for longer than a run takes, whenever batches of two sizes take turns. What was not warmed at start
gets its session when it is first needed.
"""

import threading

import numpy as np
import onnxruntime as ort
import structlog

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import BundleError, PredictionError
from monolayer_core.model_card import ModelCard, Precision
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.gpu_runs import GpuMemory
from monolayer_service.segmenters.onnxruntime_session import OrtSession, cuda_options
from monolayer_service.segmenters.runtime import (
    CPU,
    CUDA,
    OPENVINO,
    PROCESSOR_PROVIDERS,
    Session,
    SessionKey,
    TileSize,
)
from monolayer_service.settings import CpuRuntime

log = structlog.get_logger(__name__)


class Network:
    """One network file, and its sessions by the provider they were asked for, tile size and number of threads.

    All of them are made of the same bytes, so that their digest holds for every answer, also where a fault on the GPU
    sent one to the CPU, and where a size is first needed after the file was replaced.

    Parameters
    ----------
    file
        Name of the file.
    model
        Its content, whose digest stands in the card.
    tf32
        Whether a GPU may round the factors of float32 products to ten bits.
    gpu_memory
        What all sessions may take on a GPU; no bound without it.

    Attributes
    ----------
    precision
        In what kind of numbers the file computes.
    processor
        The provider that computes on a CPU.
    wanted
        The provider that sessions are asked for.
    provider
        The same as long as every session really runs there, else the one that another was given instead.
    """

    def __init__(
        self,
        file: str,
        model: bytes,
        card: ModelCard,
        *,
        prefer_cuda: bool,
        threads: NetworkThreads,
        precision: Precision = "float32",
        cpu_runtime: CpuRuntime = "onnxruntime",
        tf32: bool = False,
        gpu_memory: GpuMemory | None = None,
    ) -> None:
        self.card = card
        self.precision = precision
        self.sha256 = card.files[file]
        self.processor = PROCESSOR_PROVIDERS[cpu_runtime]
        self.wanted = CUDA if prefer_cuda and CUDA in ort.get_available_providers() else self.processor
        self.provider = self.wanted
        self._file = file
        self._model = model
        self._threads = threads
        self._cuda_options = cuda_options(tensor_cores=tf32 or precision == "float16")
        self._gpu_memory = gpu_memory
        self._sessions: dict[SessionKey, Session] = {}
        self._lock = threading.Lock()

    @property
    def takes_any_size(self) -> bool:
        """Whether tiles of any size are as good as any other here: none needs a session of its own."""
        return self._takes_any_size(self.provider)

    @property
    def warm_sizes(self) -> list[TileSize]:
        """Tile sizes that have a session of their own ready."""
        sizes = {key.size for key in tuple(self._sessions) if key.provider == self.wanted and key.size is not None}
        return sorted(sizes, key=lambda size: size.height)

    def is_warm(self, size: TileSize) -> bool:
        """Whether tiles of this size have a session ready."""
        return any(key.provider == self.wanted and key.size in (None, size) for key in tuple(self._sessions))

    def open(self, size: TileSize, provider: str | None = None, *, alone: bool = True, batch: int = 1) -> Session:
        """Give the session for a tile size, made on first use.

        `alone` says whether it has all cores to itself; a GPU has one session for either. `batch` is the number of
        tiles in a run; on a CPU one session takes any.

        Where a GPU was wanted and there is none, the session is one of the processor's, and `provider` follows.

        Raises
        ------
        BundleError
            The runtime cannot load the file.
        PredictionError
            A GPU that is there cannot, now: its memory may be taken.
        """
        wanted = provider or self.wanted
        threads = self._threads
        key = SessionKey(wanted, self._size_of_session(size, wanted), threads.alone, 1, batch if wanted == CUDA else 0)
        if not alone and wanted == self.processor:
            key = key._replace(threads=threads.shared, runs=threads.runs)
        if (session := self._sessions.get(key)) is not None:
            return session
        with self._lock:  # of the requests that need a new size at once, one makes its session
            if (session := self._sessions.get(key)) is None:
                session = self._create(key)
                if session.provider != wanted:
                    size_there = self._size_of_session(size, self.processor)
                    key_there = key._replace(provider=self.processor, size=size_there, batch=0)
                    if session.provider != self.processor:
                        session = self._create(key_there)
                    log.warning("provider not usable", model=self.card.name, wanted=wanted, actual=session.provider)
                    self.provider = session.provider
                    session = self._sessions.setdefault(key_there, session)
                self._sessions[key] = session
            return session

    def provider_of(self, size: TileSize, provider: str | None = None, *, batch: int = 1) -> str:
        """Say where runs of `batch` tiles of a size are computed; raises as `open` unless that goes without saying."""
        if (provider or self.wanted) == self.processor:
            return self.processor
        return self.open(size, provider, batch=batch).provider

    def close(self, size: TileSize, batch: int | None = None) -> None:
        """Let go of the sessions for a tile size, or of that for one size of batch; the next use makes one anew."""
        with self._lock:
            for key in [key for key in self._sessions if key.size == size and batch in (None, key.batch)]:
                del self._sessions[key]

    def run(self, tiles: TileBatch, provider: str | None = None, *, alone: bool = True) -> TileBatch:
        """Predict one batch of tiles.

        Parameters
        ----------
        tiles
            ``(n, y, x, channel)`` uint8.
        provider
            Where; the wanted one by default.
        alone
            Whether no other run is to share the cores with it.

        Returns
        -------
        ``(n, y, x, output)`` uint8 probabilities.

        Raises
        ------
        PredictionError
            The runtime failed, or gave something else than the card promises.
        """
        try:
            session = self.open(TileSize(*tiles.shape[1:3]), provider, alone=alone, batch=len(tiles))
            answer = session.run(tiles)
        except Exception as error:
            raise PredictionError(f"the network {self.card.name} failed: {error}") from error
        expected = (*tiles.shape[:3], len(self.card.outputs))
        if answer.shape != expected or answer.dtype != tiles.dtype:
            raise PredictionError(
                f"the network {self.card.name} gave {answer.dtype} {answer.shape}, not uint8 {expected}"
            )
        return answer

    def trim(self) -> bool:
        """Give back to the system what runs on the CPU have taken; no session is made for this.

        Returns
        -------
        Whether this has given back what other networks hold, too: the sessions of ONNX Runtime draw from one arena.

        Raises
        ------
        PredictionError
            The runtime failed.
        """
        least = TileSize(self.card.tile_sides[0], self.card.tile_sides[0])
        held = [(key.size or least, session) for key, session in tuple(self._sessions.items())]
        sessions = [(size, session) for size, session in held if session.provider != CUDA]
        for size, session in sorted(sessions, key=lambda pair: pair[0].height * pair[0].width):
            try:
                if session.trim(np.zeros((1, size.height, size.width, self.card.channel_count), np.uint8)):
                    return True
            except Exception as error:
                raise PredictionError(f"the network {self.card.name} failed: {error}") from error
        return False

    def _takes_any_size(self, provider: str) -> bool:
        return provider == CPU and self.card.dynamic_size

    def _size_of_session(self, size: TileSize, provider: str) -> TileSize | None:
        return None if self._takes_any_size(provider) else size

    def _create(self, key: SessionKey) -> Session:
        try:
            if key.provider != OPENVINO:
                return OrtSession(self._model, key, self._cuda_options | self._memory_limit(key))
            from monolayer_service.segmenters.openvino_session import OpenVinoSession

            return OpenVinoSession(self._model, key)
        except Exception as error:
            if key.provider == CUDA:
                raise PredictionError(f"{self._file} cannot be loaded on a GPU: {error}") from error
            raise BundleError(f"{self._file} cannot be loaded: {error}") from error

    def _memory_limit(self, key: SessionKey) -> dict[str, str]:
        if self._gpu_memory is None or key.provider != CUDA:
            return {}
        return {"gpu_mem_limit": str(self._gpu_memory.of_session(key))}
