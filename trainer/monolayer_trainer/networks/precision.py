"""The precision under which layers are built."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


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
