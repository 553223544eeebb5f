"""The precision in which layers compute."""

import functools
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

TRIALS = 3
TRIAL_SHAPE = (4, 96, 96, 32)
"""Features ``(n, y, x, channel)`` on which a convolution is tried: like those in the middle of a small U-Net."""

log = logging.getLogger(__name__)


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a policy and put the former one back, whatever happens.

    Parameters
    ----------
    name
        As Keras calls it, for example ``float32`` or ``mixed_bfloat16``.
    """
    former = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(former)


def training_policy(mixed_precision: bool | None) -> str:
    """Name the policy to train under.

    Parameters
    ----------
    mixed_precision
        Whether to convolve in bfloat16; None where the machine is to decide, see `bfloat16_is_faster`.

    Returns
    -------
    str
        ``mixed_bfloat16`` or ``float32``.
    """
    if mixed_precision is None:
        mixed_precision = bfloat16_is_faster()
    return "mixed_bfloat16" if mixed_precision else "float32"


@functools.cache
def bfloat16_is_faster() -> bool:
    """Whether this machine trains faster in bfloat16, found by trying; takes some tenths of a second.

    A processor without instructions for bfloat16 computes it all the same, many times slower than float32, above all
    backwards. Whether it has them is not to be read from one place for all processors, GPUs and libraries.
    """
    seconds = {dtype: convolution_seconds(dtype) for dtype in ("float32", "bfloat16")}
    faster = seconds["bfloat16"] < seconds["float32"]
    log.info(
        "convolving in %s: a convolution takes %.1f ms in float32, %.1f ms in bfloat16",
        "bfloat16" if faster else "float32",
        1000 * seconds["float32"],
        1000 * seconds["bfloat16"],
    )
    return faster


def convolution_seconds(dtype: str) -> float:
    """Shortest time of some 3x3 convolutions and what leads back to their input, which is a convolution too."""
    channels = TRIAL_SHAPE[-1]
    features = ops.zeros(TRIAL_SHAPE, dtype)
    kernel = ops.zeros((3, 3, channels, channels), dtype)

    def run() -> float:
        began = time.perf_counter()
        forth = ops.conv(features, kernel, padding="same")
        back = ops.conv_transpose(forth, kernel, padding="same")
        np.asarray(ops.convert_to_numpy(ops.cast(back[0, 0, 0], "float32")))  # waits for the result
        return time.perf_counter() - began

    run()
    return min(run() for _ in range(TRIALS))
