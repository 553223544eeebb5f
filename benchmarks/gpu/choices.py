"""What other options of the CUDA provider would do: speed, first run, memory and answers of the same file."""

import gc
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from benchmarks.gpu.bare import Shape, make_tiles, median_ms
from benchmarks.gpu.device import DeviceName, memory_mib

from monolayer_core.arrays import TileBatch
from monolayer_service.segmenters.onnxruntime_session import OrtSession, cuda_options
from monolayer_service.segmenters.runtime import CPU, CUDA, SessionKey, TileSize
from monolayer_service.segmenters.session import Network

CHOICES: dict[str, dict[str, str]] = {
    "as served": {},
    "TF32 (`MONOLAYER_TF32`)": {"use_tf32": "1"},
    "`cudnn_conv_algo_search` EXHAUSTIVE": {"cudnn_conv_algo_search": "EXHAUSTIVE"},
    "`arena_extend_strategy` kNextPowerOfTwo": {"arena_extend_strategy": "kNextPowerOfTwo"},
    "`cudnn_conv_use_max_workspace` 0": {"cudnn_conv_use_max_workspace": "0"},
    "`fuse_conv_bias` 1": {"fuse_conv_bias": "1"},
    "`prefer_nhwc` 1": {"prefer_nhwc": "1"},
    "`prefer_nhwc` 1, TF32": {"prefer_nhwc": "1", "use_tf32": "1"},
}
"""Changes to the service's own options, by the name of their row."""


class Choice(NamedTuple):
    """What came of one set of options.

    `held_mib` is by how much the taken memory of the device grew from before the session; None where it is not known.
    `levels` is the largest difference of a probability from the reference, in steps of 1/255, and `differing` the share
    of values that differ at all.
    """

    first_ms: float
    run_ms: float
    held_mib: int | None
    levels: int
    differing: float


def try_choice(
    network: Network,
    model: bytes,
    changes: Mapping[str, str],
    picture: npt.NDArray[np.uint8],
    shape: Shape,
    *,
    device: DeviceName,
    reference: TileBatch,
    seconds: float,
) -> Choice:
    """Make a session of the service's options with some changed, and run it.

    Raises
    ------
    RuntimeError
        It does not run on the device.
    """
    gc.collect()  # a session of the row before would be counted with this one
    before = memory_mib()
    tiles = make_tiles(picture, network, shape)
    provider = CUDA if device == "cuda" else CPU
    options = cuda_options(tensor_cores=network.precision == "float16") | dict(changes)
    key = SessionKey(provider, TileSize(shape.side, shape.side), 1 if device == "cuda" else 2, 1, shape.batch)
    session = OrtSession(model, key, options)
    if session.provider != provider:
        raise RuntimeError(f"the session runs on {session.provider}")
    began = time.perf_counter()
    answer = session.run(tiles)
    first_ms = 1000 * (time.perf_counter() - began)
    run_ms = median_ms(lambda: session.run(tiles), seconds)
    after = memory_mib()
    distance = np.abs(answer.astype(np.int16) - reference)
    held = None if before is None or after is None else after - before
    return Choice(first_ms, run_ms, held, int(distance.max()), float((distance > 0).mean()))
