"""To the size at which a network sees images, and back.

A network whose objects are large needs no more than a part of the resolution: it sees more of the surroundings at a
fraction of the price. Only what goes through the network is small; masks, areas and thresholds are those of the image.
"""

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8, Probabilities


def shrink(image: ImageUInt8, scale: float) -> ImageUInt8:
    """Shrink a prepared image by area averaging.

    Parameters
    ----------
    image : uint8 (y, x, channel)
        Grey or RGB: OpenCV averages areas of up to four channels.
    scale : float
        Above 0 and at most 1: height and width afterwards, as a part of those before.

    Returns
    -------
    uint8 (y, x, channel)
        At least one pixel high and wide; the same array where the size stays.

    Examples
    --------
    >>> shrink(np.array([[[0], [10], [4], [8]], [[20], [30], [4], [8]]], np.uint8), 0.5)[..., 0]
    array([[15,  6]], dtype=uint8)
    """
    height, width = image.shape[:2]
    return _resize(image, *scaled_size(height, width, scale), cv2.INTER_AREA)


def enlarge(probabilities: Probabilities, height: int, width: int) -> Probabilities:
    """Bring a network's answer to the size of the image, linearly.

    Parameters
    ----------
    probabilities : uint8 (y, x, output)
    height, width : int
        Of the image, pixels.

    Returns
    -------
    uint8 (y, x, output)
        The same array where the size stays.
    """
    return _resize(probabilities, height, width, cv2.INTER_LINEAR)


def scaled_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Height and width of a shrunk image, at least 1.

    Examples
    --------
    >>> scaled_size(1022, 1, 0.5)
    (511, 1)
    """
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _resize(values: Probabilities, height: int, width: int, interpolation: int) -> Probabilities:
    if values.shape[:2] == (height, width):
        return values
    resized = cv2.resize(values, (width, height), interpolation=interpolation)
    return np.asarray(resized, np.uint8).reshape(height, width, values.shape[2])  # OpenCV drops a single channel
