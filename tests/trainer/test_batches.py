"""What stands between the sampler and Keras."""

import threading

import numpy as np
import pytest

from monolayer_trainer.batches import one_ahead, pairs
from monolayer_trainer.errors import SamplerError
from monolayer_trainer.sampler import Batch


def batch(value: int) -> Batch:
    return Batch(
        images=np.full((1, 2, 2, 3), value, np.uint8),
        class_index=np.full((1, 2, 2), value % 3, np.uint8),
        distance=np.full((1, 2, 2), value / 10, np.float32),
    )


def test_pairs_come_in_order_and_whole():
    given = list(one_ahead(pairs(batch(value) for value in range(5))))
    assert [int(images[0, 0, 0, 0]) for images, _ in given] == [0, 1, 2, 3, 4]
    assert [targets[0, 1, 1].tolist() for _, targets in given] == [
        [value % 3, pytest.approx(value / 10)] for value in range(5)
    ]
    assert given[3][0].dtype == np.uint8


def test_the_next_pair_is_made_while_one_is_used():
    made = threading.Event()

    def two():
        yield from pairs([batch(1)])
        made.set()
        yield from pairs([batch(2)])

    coming = one_ahead(two())
    next(coming)
    assert made.wait(60), "the second pair waits for somebody to ask for it"
    assert int(next(coming)[0][0, 0, 0, 0]) == 2


def test_what_goes_wrong_in_the_sampler_is_told():
    def broken():
        yield from pairs([batch(1)])
        raise SamplerError("the sampler process failed")

    coming = one_ahead(broken())
    next(coming)
    with pytest.raises(SamplerError, match="the sampler process failed"):
        next(coming)
