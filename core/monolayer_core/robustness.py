"""What becomes of a K-means mask when the image is disturbed in a way that leaves the cells where they are.

The trainer's evaluation prints these figures and the tests hold them.
"""

from dataclasses import replace

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.kmeans import KMeansOptions, cluster
from monolayer_core.metrics import dice


def invert(pixels: Pixels) -> Pixels:
    """Exchange bright and dark: integers within the range of their type, other numbers within their own range."""
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        return np.asarray(limits.max - (pixels - limits.min), dtype=pixels.dtype)
    return np.asarray(pixels.max() - (pixels - pixels.min()), dtype=pixels.dtype)


def vignette(pixels: Pixels, ratio: float = 3.0) -> Pixels:
    """Darken an image towards its corners, where the light is ``1 / ratio`` of that in the centre.

    The light falls with the square of the distance from the centre, distances along y and x being measured in the
    image's height and width.

    Returns
    -------
    Pixels
        Integers are rounded to the type of the input, as a camera would; other numbers become float32.
    """
    height, width = pixels.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis, :]
    light = 1 - (1 - 1 / ratio) * (y * y + x * x) / 2
    darkened = pixels * (light if pixels.ndim == 2 else light[..., np.newaxis])
    return np.rint(darkened).astype(pixels.dtype) if pixels.dtype.kind in "iu" else darkened.astype(np.float32)


def vignette_dice(pixels: Pixels, options: KMeansOptions, ratio: float = 3.0) -> float:
    """Dice of the mask of the vignetted image with that of the image as it is, both with the flat field on."""
    options = replace(options, flat_field=True)
    masks = [cluster(image, options).mask.astype(np.int32) for image in (pixels, vignette(pixels, ratio))]
    return dice(masks[0], masks[1])


def inversion_change(pixels: Pixels, options: KMeansOptions) -> float:
    """Fraction of pixels that change sides between mask and ground when the image is inverted."""
    return float(np.mean(cluster(pixels, options).mask != cluster(invert(pixels), options).mask))
