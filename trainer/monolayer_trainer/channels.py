"""Bringing an image to the channels of the network."""

from typing import Literal

import cv2

from monolayer_core.arrays import Pixels


def match_channels(pixels: Pixels, channels: Literal["grey", "rgb"]) -> Pixels:
    """Turn RGB into luminance where the network takes grey images; other images stay as they are."""
    if channels == "grey" and pixels.ndim == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return pixels
