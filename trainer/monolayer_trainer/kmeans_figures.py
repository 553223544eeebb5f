"""How K-means does where it has to serve without a network: uneven light, inverted images, phase contrast."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monolayer_core.arrays import Pixels
from monolayer_core.kmeans import KMeansOptions, cluster
from monolayer_core.metrics import confluency_error, dice
from monolayer_core.pipeline import segment_kmeans
from monolayer_trainer.readers.layouts import open_reader

VIGNETTE_RATIO = 3.0
"""Brightness in the middle over that in the corners."""


def vignetted(pixels: Pixels, ratio: float = VIGNETTE_RATIO) -> Pixels:
    """Darken an image towards its corners, as a badly aligned lamp does.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, c)`` of any real type; integers are rounded.
    ratio
        The middle keeps its brightness, the corners have it divided by this; between, the divisor grows with the square
        of the distance from the middle.
    """
    height, width = pixels.shape[:2]
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    gain = 1 / (1 + (ratio - 1) * (y**2 + x**2) / 2)
    spoiled = pixels * (gain if pixels.ndim == 2 else gain[..., None])
    return (np.rint(spoiled) if pixels.dtype.kind in "ui" else spoiled).astype(pixels.dtype)


def inverted(pixels: Pixels) -> Pixels:
    """Exchange bright and dark: the largest value of the type less the value; of the image for floating point."""
    return (np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else pixels.max()) - pixels


def robustness(images: Iterable[Pixels]) -> dict[str, Any]:
    """Measure what a vignette and an inversion change.

    Returns
    -------
    dict
        ``vignette_dice``: Dice of the mask of the vignetted image against that of the image as it is, both with flat
        field; ``inversion_percent``: pixels of the mask that change when the image is inverted. Each with mean and
        worst.
    """
    flat = KMeansOptions(flat_field=True)
    overlaps, changes = [], []
    for pixels in images:
        straight = cluster(pixels, flat).mask.astype(np.int32)
        overlaps.append(dice(straight, cluster(vignetted(pixels), flat).mask.astype(np.int32)))
        changes.append(100 * float(np.mean(cluster(pixels).mask != cluster(inverted(pixels)).mask)))
    return {
        "images": len(overlaps),
        "vignette_dice": {"mean": mean(overlaps), "worst": min(overlaps)},
        "inversion_percent": {"mean": mean(changes), "worst": max(changes)},
    }


def phase_contrast(source: Path) -> dict[str, Any]:
    """Compare the confluency by local texture with that of labels drawn by hand.

    Parameters
    ----------
    source
        Images and labels in any layout that ``monolayer-train prepare`` reads.

    Returns
    -------
    dict
        Percentage points: ``confluency_error_absolute`` and its signed mean, the ``bias``.
    """
    reader = open_reader(source, "auto")
    texture = KMeansOptions(foreground="texture")
    errors = []
    for image_id in reader.ids:
        read = reader.read(image_id)
        errors.append(confluency_error(read.labels, segment_kmeans(read.pixels, texture).labels))
    return {
        "images": len(errors),
        "confluency_error_absolute": mean([abs(error) for error in errors]),
        "bias": mean(errors),
    }


def mean(values: Sequence[float]) -> float:
    """Average of the values as a plain number."""
    return float(np.mean(values))
