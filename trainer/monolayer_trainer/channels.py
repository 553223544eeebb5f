"""Bringing an image to the channels of the network."""

from typing import Literal

import numpy as np

from monolayer_core.arrays import Pixels

_LUMINANCE = np.array((0.299, 0.587, 0.114))


def match_channels(pixels: Pixels, channels: Literal["grey", "rgb"]) -> Pixels:
    """Turn RGB into luminance where the network takes grey images; other images stay as they are."""
    return pixels @ _LUMINANCE if channels == "grey" and pixels.ndim == 3 else pixels
