"""Cells as the uneven part of an image: phase contrast, where a cell is neither brighter nor darker than the ground."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import Mask, Pixels
from monolayer_core.partition import fewest_clusters, partition_line

_SIGMA_PX = 2.0


@dataclass(frozen=True)
class Texture:
    """Where an image is uneven, and the clusters of local standard deviation behind it."""

    mask: Mask
    k: int
    centres: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]


def find_texture(pixels: Pixels, clusters: int | Literal["auto"] = "auto") -> Texture:
    """Find the uneven part of a grey image ``(y, x)``."""
    values = pixels.astype(np.float32)
    values -= values.mean(dtype=np.float64)
    mean = cv2.GaussianBlur(values, (0, 0), _SIGMA_PX)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(values * values, (0, 0), _SIGMA_PX) - mean * mean, 0.0))
    unit = float(spread.max()) / 1e4
    if unit == 0.0:
        return Texture(np.zeros(pixels.shape, dtype=np.bool_), 1, ((0.0,),), (1.0,))
    logarithm: npt.NDArray[np.float32] = np.log(np.maximum(spread, unit))
    low = float(logarithm.min())
    step = (float(logarithm.max()) - low) / 255 or 1.0
    level = np.rint((logarithm - low) / step).astype(np.uint8)
    counts = np.bincount(level.reshape(-1), minlength=256)
    occurring = np.flatnonzero(counts)
    partitions = partition_line(occurring.astype(np.float64), counts[occurring], 8 if clusters == "auto" else clusters)
    k = fewest_clusters(partitions.inertia, 0.5) if clusters == "auto" else len(partitions.inertia)
    bounds = [*occurring[partitions.starts[k - 1]], 256]
    shares = tuple(float(counts[a:b].sum() / level.size) for a, b in pairwise(bounds))
    centres = tuple(
        (float(np.exp(low + step * np.average(np.arange(a, b), weights=counts[a:b]))),)
        for a, b in pairwise(bounds)
    )
    return Texture(level >= bounds[1], k, centres, shares)
