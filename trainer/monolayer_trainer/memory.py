"""What to do when the memory of the machine or the GPU does not suffice: ask for less, and say so.

The batch is halved first, because it costs nothing but noise; then the side of the crops, which costs context; then the
number of images, which costs accuracy.
"""

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

from monolayer_trainer.config import TrainConfig

Result = TypeVar("Result")

SMALLEST_CROP = 64
"""Crops are not cut smaller than this many pixels a side: a nucleus and its neighbours no longer fit."""

SMALLEST_LIMIT = 8
"""Training on fewer images than this is not worth its time."""

EXHAUSTED_CLASSES = ("ResourceExhaustedError", "OutOfMemoryError")
"""What TensorFlow and PyTorch raise; known by name, so that neither has to be imported."""

EXHAUSTED_MESSAGES = ("RESOURCE_EXHAUSTED", "Insufficient memory")
"""What JAX and OpenCV write: each raises one class for everything that goes wrong."""

log = logging.getLogger(__name__)


def is_exhausted(error: BaseException) -> bool:
    """Whether an exception says that memory did not suffice, on whichever Keras backend."""
    if isinstance(error, MemoryError):
        return True
    names = {cls.__name__ for cls in type(error).__mro__}
    return not names.isdisjoint(EXHAUSTED_CLASSES) or any(text in str(error) for text in EXHAUSTED_MESSAGES)


def shrink(config: TrainConfig, images: int) -> tuple[TrainConfig, str] | None:
    """Give the configuration that needs less memory, and what was changed; None where there is nothing left to shrink.

    Parameters
    ----------
    config
        That needed too much.
    images
        Number of images trained on.
    """
    if config.batch_size > 1:
        batch_size = config.batch_size // 2
        return config.model_copy(update={"batch_size": batch_size}), f"batches of {batch_size}"
    side = config.crop_side // 2 // config.divisor * config.divisor
    if side >= SMALLEST_CROP and config.architecture == "unet":
        return config.model_copy(update={"crop_side": side}), f"crops of {side}x{side} pixels"
    limit = min(config.limit or images, images) // 2
    if limit >= SMALLEST_LIMIT:
        return config.model_copy(update={"limit": limit}), f"{limit} images only"
    return None


def with_less_memory(train: Callable[[TrainConfig], Result], config: TrainConfig, *, images: int) -> Result:
    """Call `train`, and again with less whenever memory is exhausted.

    Parameters
    ----------
    train
        Trains with the configuration it is given.
    config
        To begin with.
    images
        Number of images trained on.

    Raises
    ------
    MemoryError
        Memory did not suffice and nothing is left to shrink.
    """
    while True:
        try:
            return train(config)
        except Exception as error:
            if not is_exhausted(error):
                raise
            smaller = shrink(config, images)
            if smaller is None:
                raise MemoryError("memory does not suffice even for the smallest training") from error
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        # Outside the handler: the traceback, and with it the frames that hold the tensors, are gone.
        config, change = smaller
        log.warning("memory exhausted (%s): going on with %s", reason, change)
        gc.collect()
