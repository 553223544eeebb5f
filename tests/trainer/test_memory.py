"""Exhausted memory: what is recognised, what is given up and in which order."""

import logging

import cv2
import pytest

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.memory import is_exhausted, shrink, with_less_memory


class XlaRuntimeError(RuntimeError):
    """Named as JAX names it."""


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch names it."""


def tensorflow_error() -> Exception:
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory")


def jax_error() -> Exception:
    return XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.")


def opencv_error() -> Exception:
    return cv2.error(
        "OpenCV(4.11.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 40000000000 bytes"
    )


@pytest.mark.parametrize(
    "error",
    [tensorflow_error(), jax_error(), opencv_error(), OutOfMemoryError("CUDA out of memory"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_every_backend_is_understood(error):
    assert is_exhausted(error)


@pytest.mark.parametrize("error", [ValueError("bad shape"), XlaRuntimeError("INTERNAL: something else")], ids=repr)
def test_other_errors_are_not_taken_for_exhausted_memory(error):
    assert not is_exhausted(error)


def test_batch_then_crop_then_data_are_given_up():
    config: TrainConfig | None = TrainConfig(batch_size=4, crop_side=256)
    said = []
    while (smaller := shrink(config, images=40)) is not None:
        config, change = smaller
        said.append(change)
    assert said == [
        "batches of 2",
        "batches of 1",
        "crops of 128x128 pixels",
        "crops of 64x64 pixels",
        "20 images only",
        "10 images only",
    ]
    assert (config.batch_size, config.crop_side, config.limit) == (1, 64, 10)


def test_a_halved_crop_still_fits_the_network():
    smaller = shrink(TrainConfig(batch_size=1, crop_side=240, depth=4), images=40)
    assert smaller is not None
    assert smaller[0].crop_side == 112


def test_the_crops_of_the_mobilenet_unet_keep_their_side():
    config = TrainConfig(architecture="mobilenet-unet", crop_side=128, batch_size=1)
    smaller = shrink(config, images=40)
    assert smaller is not None
    assert smaller[1] == "20 images only"


@pytest.mark.parametrize("make_error", [tensorflow_error, jax_error])
def test_training_goes_on_with_less_and_the_log_says_so(make_error, caplog):
    tried = []

    def train(config: TrainConfig) -> str:
        tried.append((config.batch_size, config.crop_side))
        if config.batch_size > 1 or config.crop_side > 128:
            raise make_error()
        return "trained"

    with caplog.at_level(logging.WARNING):
        assert with_less_memory(train, TrainConfig(batch_size=4), images=40) == "trained"
    assert tried == [(4, 256), (2, 256), (1, 256), (1, 128)]
    assert [record.getMessage().split("going on with ")[1] for record in caplog.records] == [
        "batches of 2",
        "batches of 1",
        "crops of 128x128 pixels",
    ]


def test_another_error_ends_the_training():
    def train(config: TrainConfig) -> None:
        raise ValueError("bad shape")

    with pytest.raises(ValueError, match="bad shape"):
        with_less_memory(train, TrainConfig(), images=40)


def test_when_nothing_is_left_to_shrink_the_memory_error_says_so():
    def train(config: TrainConfig) -> None:
        raise jax_error()

    with pytest.raises(MemoryError, match="does not suffice") as raised:
        with_less_memory(train, TrainConfig(batch_size=1, crop_side=64), images=10)
    assert isinstance(raised.value.__cause__, XlaRuntimeError)
