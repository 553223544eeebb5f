"""Sessions of ONNX Runtime, on a CPU and on CUDA: the only module that computes with it."""

import contextlib
import functools
import io
import os
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import onnxruntime as ort
import structlog

from monolayer_core.arrays import TileBatch
from monolayer_service.compute import network_thread_options
from monolayer_service.segmenters.runtime import CPU, INPUT_NAME, OUTPUT_NAME, Port, SessionKey

_ONLY_ERRORS = 3

log = structlog.get_logger(__name__)


def cuda_options(*, tensor_cores: bool) -> dict[str, str]:
    """Give the options of the CUDA provider.

    Algorithms of convolutions are chosen by rule. The default measures each of them anew for every shape, in the
    request that brings it: it stalls that request, and may choose another one, with other roundings, after each start.

    A session on a GPU sees runs of one shape. What the first one takes fits the others, so that the arena need not
    double each time it grows.

    Parameters
    ----------
    tensor_cores
        Whether they may multiply. They round factors in float32 to ten bits (TF32); those in half precision are that
        short already, and without them half precision would be no faster.
    """
    return {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "1" if tensor_cores else "0",
    }


@functools.cache
def load_cuda() -> None:
    """Load the libraries of CUDA and cuDNN that are installed as Python packages. Done once.

    The system's loader does not look there; without this the extra `gpu` would compute on the CPU. ONNX Runtime looks
    beside itself and where the system does; they may also lie elsewhere on Python's path, as they do for an environment
    that sees the packages of another one.
    """
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for given in _folders_elsewhere() or [{}]:
            ort.preload_dlls(**given)
    if reason := said.getvalue().strip():
        log.warning("libraries of CUDA not loaded", reason=reason)


def _folders_elsewhere() -> list[dict[str, str | bool]]:
    """Say how to load NVIDIA's packages (CUDA 13 and later) where they do not lie beside ONNX Runtime."""
    spec = find_spec("nvidia")
    if spec is None or (Path(ort.__file__).parents[1] / "nvidia").is_dir():
        return []
    found: list[dict[str, str | bool]] = []
    for place in map(Path, spec.submodule_search_locations or ()):
        found += [{"directory": str(folder), "cudnn": False} for folder in sorted(place.glob("cu[0-9]*/lib"))]
        found += [{"directory": str(folder), "cuda": False} for folder in place.glob("cudnn/lib")]
    return found


@functools.cache
def share_arena() -> None:
    """Let all sessions of the process draw from one arena, so that their memory does not add up. Done once.

    Without an arena memory is given back after every run, and every run costs a tenth to a quarter more. Extending it
    by just what is asked for (``kSameAsRequested``) leaves pieces that the next larger tile side cannot use: it held
    half as much again after tiles of 256, 512 and 1024 pixels as the powers of two of the default, which stand. What
    it holds is bounded by the largest run, and `OrtSession.trim` gives it back.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, None)


class OrtSession:
    """See `runtime.Session`.

    Where the libraries of CUDA cannot be loaded ONNX Runtime falls back to the CPU without an exception; `provider`
    says what it really chose. `cuda` are the options of that provider. There runs take turns.
    """

    def __init__(self, model: bytes, key: SessionKey, cuda: Mapping[str, str]) -> None:
        share_arena()
        if key.provider != CPU:
            load_cuda()
        options = ort.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.intra_op_num_threads = key.threads
        options.inter_op_num_threads = 1
        for name, value in network_thread_options(key.threads).items():
            options.add_session_config_entry(name, value)
        # Weights in files of their own would be under no digest: they are looked for where nothing is.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        options.log_severity_level = _ONLY_ERRORS
        # A plan of all activations of a run as one block, kept for each size of batch: the block fits nowhere into what
        # other sizes have left, so that the arena grows with each (a CPU held 1055 MiB with it after tiles of 256, 512
        # and 1024 pixels, 624 MiB without, at the same speed).
        options.enable_mem_pattern = False
        if key.size is not None:
            options.add_free_dimension_override_by_name("height", key.size.height)
            options.add_free_dimension_override_by_name("width", key.size.width)
        # Tiles and answers are uint8 and cross the bus once a run, which takes 6 to 14 % of it: binding them to buffers
        # of the device would spare less, since they have to be copied into and out of these (docs/adr/0016).
        providers = [CPU] if key.provider == CPU else [(key.provider, dict(cuda)), CPU]
        # Left to itself, a session on CUDA that fails is made anew on the CPU, for ever and untold: what comes after a
        # fault is decided elsewhere.
        self._session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
        # On a GPU each run at once would make the session's arena larger, for good.
        self._turn = threading.Lock() if key.provider != CPU else contextlib.nullcontext()

    @property
    def provider(self) -> str:
        """The first of the session's providers."""
        name: str = self._session.get_providers()[0]
        return name

    @property
    def inputs(self) -> list[Port]:
        """See `runtime.Session`."""
        return [_port(port) for port in self._session.get_inputs()]

    @property
    def outputs(self) -> list[Port]:
        """See `runtime.Session`."""
        return [_port(port) for port in self._session.get_outputs()]

    def run(self, tiles: TileBatch) -> TileBatch:
        """See `runtime.Session`."""
        with self._turn:
            answer: TileBatch = self._session.run([OUTPUT_NAME], {INPUT_NAME: tiles})[0]
        return answer

    def trim(self, tile: TileBatch) -> bool:
        """Shrink the arena by one more run; all sessions draw from it."""
        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run([OUTPUT_NAME], {INPUT_NAME: tile}, options)
        return True


def _port(node: ort.NodeArg) -> Port:
    return Port(node.name, node.type.removeprefix("tensor(").removesuffix(")"), tuple(node.shape or ()))
