"""Sessions of ONNX Runtime: where providers are decided, and the only module that calls the runtime.

A session is made for one tile size: fixing the symbolic height and width lets the runtime fold the size arithmetic out
of the graph. On a CPU there is a second one for runs that share the cores with others. Sizes that were not warmed at
start get their sessions when they are first needed.
"""

import functools
import os
import threading
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import structlog

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import BundleError, PredictionError
from monolayer_core.model_card import ModelCard, Precision
from monolayer_service.compute import NETWORK_THREAD_OPTIONS, NetworkThreads

log = structlog.get_logger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
INPUT_NAME = "image"
OUTPUT_NAME = "probabilities"

_ONLY_ERRORS = 3


_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
"""The default measures every algorithm anew for each size of batch, in the request that brings it: it stalls that
request, reserves the workspace of the greediest, and may choose another one, with other roundings, after each start."""


@functools.cache
def share_arena() -> None:
    """Let all sessions of the process draw from one arena, so that their memory does not add up. Done once.

    Without an arena memory is given back after every run, and every run costs a tenth to a quarter more. Extending it
    by just what is asked for (``kSameAsRequested``) leaves pieces that the next larger tile side cannot use: it held
    half as much again after tiles of 256, 512 and 1024 pixels as the powers of two of the default, which stand. What
    it holds is bounded by the largest run, and `Network.trim` gives it back.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, None)


@dataclass(frozen=True)
class TileSize:
    """Height and width in pixels that a session is made for."""

    height: int
    width: int


class SessionKey(NamedTuple):
    """What a session is made for."""

    provider: str
    size: TileSize
    threads: int


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

    Attributes
    ----------
    precision
        In what kind of numbers the file computes.
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
    ) -> None:
        self.card = card
        self.precision = precision
        self.sha256 = card.files[file]
        self.wanted = CUDA if prefer_cuda and CUDA in ort.get_available_providers() else CPU
        self.provider = self.wanted
        self._file = file
        self._model = model
        self._threads = threads
        self._sessions: dict[SessionKey, ort.InferenceSession] = {}
        self._lock = threading.Lock()

    @property
    def warm_sizes(self) -> list[TileSize]:
        """Tile sizes that have a session ready."""
        sizes = {key.size for key in tuple(self._sessions) if key.provider == self.wanted}
        return sorted(sizes, key=lambda size: size.height)

    def open(self, size: TileSize, provider: str | None = None, *, alone: bool = True) -> ort.InferenceSession:
        """Give the session for a tile size, made on first use.

        `alone` says whether it has all cores to itself; a GPU has one session for either.

        ONNX Runtime falls back from CUDA to the CPU without an exception; what it really chose is read afterwards, and
        `provider` follows.

        Raises
        ------
        BundleError
            The runtime cannot load the file.
        """
        wanted = provider or self.wanted
        threads = self._threads.alone if alone or wanted != CPU else self._threads.shared
        key = SessionKey(wanted, size, threads)
        if (session := self._sessions.get(key)) is not None:
            return session
        with self._lock:  # of the requests that need a new size at once, one makes its session
            if (session := self._sessions.get(key)) is None:
                session = self._create(key)
                actual = session.get_providers()[0]
                if actual != wanted:
                    log.warning("provider not usable", model=self.card.name, wanted=wanted, actual=actual)
                    self.provider = actual
                    self._sessions[key._replace(provider=actual)] = session
                self._sessions[key] = session
            return session

    def provider_of(self, size: TileSize, provider: str | None = None) -> str:
        """Say where the sessions for a tile size really run; raises as `open` unless that goes without saying."""
        if (provider or self.wanted) == CPU:
            return CPU
        used: str = self.open(size, provider).get_providers()[0]
        return used

    def close(self, size: TileSize) -> None:
        """Let go of the sessions for a tile size; the next use makes one anew."""
        with self._lock:
            for key in [key for key in self._sessions if key.size == size]:
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
            session = self.open(TileSize(*tiles.shape[1:3]), provider, alone=alone)
            answer: TileBatch = session.run([OUTPUT_NAME], {INPUT_NAME: tiles})[0]
        except Exception as error:
            raise PredictionError(f"the network {self.card.name} failed: {error}") from error
        expected = (*tiles.shape[:3], len(self.card.outputs))
        if answer.shape != expected or answer.dtype != tiles.dtype:
            raise PredictionError(
                f"the network {self.card.name} gave {answer.dtype} {answer.shape}, not uint8 {expected}"
            )
        return answer

    def trim(self) -> bool:
        """Give back to the system what runs on the CPU have taken, by one more run of its smallest session.

        All sessions draw from one arena, so this trims those of other networks too.

        Returns
        -------
        Whether there was a session on the CPU; none is made for this.

        Raises
        ------
        PredictionError
            The runtime failed.
        """
        sessions = {key.size: session for key, session in tuple(self._sessions.items()) if _runs_on_cpu(session)}
        if not sessions:
            return False
        size = min(sessions, key=lambda size: size.height * size.width)
        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        tile = np.zeros((1, size.height, size.width, self.card.channel_count), np.uint8)
        try:
            sessions[size].run([OUTPUT_NAME], {INPUT_NAME: tile}, options)
        except Exception as error:
            raise PredictionError(f"the network {self.card.name} failed: {error}") from error
        return True

    def _create(self, key: SessionKey) -> ort.InferenceSession:
        share_arena()
        options = ort.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.intra_op_num_threads = key.threads
        options.inter_op_num_threads = 1
        for name, value in NETWORK_THREAD_OPTIONS.items():
            options.add_session_config_entry(name, value)
        # Weights in files of their own would be under no digest: they are looked for where nothing is.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        options.log_severity_level = _ONLY_ERRORS
        # A plan of all activations of a run as one block, kept for each size of batch: the block fits nowhere into what
        # other sizes have left, so that the arena grows with each (a CPU held 1055 MiB with it after tiles of 256, 512
        # and 1024 pixels, 624 MiB without, at the same speed).
        options.enable_mem_pattern = False
        options.add_free_dimension_override_by_name("height", key.size.height)
        options.add_free_dimension_override_by_name("width", key.size.width)
        # Tiles and answers are uint8 and cross the bus once a batch: binding them to buffers of the device would save
        # one small allocation, and copies into and out of the buffers would take its place.
        providers = [CPU] if key.provider == CPU else [(key.provider, _CUDA_OPTIONS), CPU]
        try:
            return ort.InferenceSession(self._model, options, providers=providers)
        except Exception as error:
            raise BundleError(f"{self._file} cannot be loaded: {error}") from error


def _runs_on_cpu(session: ort.InferenceSession) -> bool:
    return bool(session.get_providers()[0] == CPU)
