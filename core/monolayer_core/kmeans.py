"""K-means: the answer without a network, and the baseline next to one.

Normalise, flatten, cluster, restructure, reshape: the image is normalised, its grey levels or colours are counted, the
counts are clustered, each level or colour gets its cluster, and a lookup table turns that into clusters of pixels.
Clusters are ordered by brightness. All but the darkest (or all but the brightest) are foreground: with more clusters
the cut comes closer to the background and dimmer objects are found.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8, Mask, Pixels
from monolayer_core.colours import LUMA, cluster_colours, count_colours, partition_axis
from monolayer_core.errors import OptionError
from monolayer_core.foreground import choose_side
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.normalization import apply_clahe, correct_flat_field, normalize
from monolayer_core.partition import fewest_clusters, partition_line
from monolayer_core.texture import find_texture

Foreground = Literal["bright", "dark", "texture"]

FEWEST_CLUSTERS = 2
MOST_CLUSTERS = 8

STRETCH = NormalizationSpec(low_percentile=0.01, high_percentile=99.99)
"""Wide, because clustering does not care for contrast: only single hot or dead pixels are to be clipped."""

EXPLAINED_GREY = 0.85
"""``clusters="auto"`` takes the fewest clusters that explain this share of the variance of the grey levels."""

EXPLAINED_COLOUR = 0.70
"""The same along the principal axis of the colours. Lower, because a stained ground is itself of several colours, and
further clusters would divide the ground instead of finding fainter objects."""


@dataclass(frozen=True)
class KMeansOptions:
    """How to cluster.

    Attributes
    ----------
    clusters
        2 to 8, or ``"auto"``: the fewest clusters that explain enough of the variance. An image with fewer grey levels
        (or colours) than clusters gets one cluster for each.
    foreground
        ``"bright"``: every cluster but the darkest; ``"dark"``: every cluster but the brightest; ``"texture"``: where
        the image is locally uneven (phase contrast); ``"auto"``: bright or dark, whichever is not the smooth ground.
    flat_field
        Divide by the illumination first.
    clahe
        Even out local contrast first; has no effect on texture.
    """

    clusters: int | Literal["auto"] = "auto"
    foreground: Foreground | Literal["auto"] = "auto"
    flat_field: bool = False
    clahe: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be clustered."""
        if self.clusters != "auto" and not FEWEST_CLUSTERS <= self.clusters <= MOST_CLUSTERS:
            raise OptionError(f"clusters must be auto or {FEWEST_CLUSTERS} to {MOST_CLUSTERS}, not {self.clusters}")
        if self.foreground not in ("auto", "bright", "dark", "texture"):
            raise OptionError(f"foreground must be auto, bright, dark or texture, not {self.foreground}")


@dataclass(frozen=True)
class KMeansResult:
    """A mask and how it came about.

    Attributes
    ----------
    mask
        ``(y, x)``: the foreground. Empty where the image is constant.
    k
        Number of clusters; 1 where the image is constant.
    centres
        Mean of each cluster, ordered by brightness, in the units of the input: one number for grey, three (red, green,
        blue) for colour. For texture the local standard deviation of each cluster, ascending.
    shares
        Fraction of the image's pixels in each cluster; they add up to 1.
    foreground
        What was taken as foreground.
    """

    mask: Mask
    k: int
    centres: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]
    foreground: Foreground


@dataclass(frozen=True)
class _Clusters:
    """Cluster of every pixel, 0 for the darkest, and the number of clusters."""

    labels: npt.NDArray[np.uint8]
    k: int


def cluster(pixels: Pixels, options: KMeansOptions | None = None) -> KMeansResult:
    """Find the foreground of an image by K-means.

    Grey images are clustered at the global optimum, colour images with scikit-learn from a fixed start: the same image
    gives the same answer every time. Colour images whose three channels are equal count as grey.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, 3)`` RGB, any real type.
    options
        See `KMeansOptions`.

    Raises
    ------
    UnusableImageError
        The image is empty, complex, or holds NaN or infinity.
    """
    options = options or KMeansOptions()
    pixels = _without_equal_channels(pixels)
    image = normalize(pixels, STRETCH)  # also refuses what cannot be used
    if options.flat_field:
        pixels = correct_flat_field(pixels)
        image = normalize(pixels, STRETCH)
    if options.foreground == "texture":
        found = find_texture(_brightness(pixels), options.clusters)
        return KMeansResult(found.mask, found.k, found.centres, found.shares, "texture")
    if options.clahe:
        image = apply_clahe(image)
    clusters = _cluster_grey(image, options.clusters) if image.ndim == 2 else _cluster_colours(image, options.clusters)
    centres, shares = _describe(pixels, clusters)
    side = options.foreground
    if clusters.k == 1:
        return KMeansResult(
            np.zeros(image.shape[:2], np.bool_), 1, centres, shares, "bright" if side == "auto" else side
        )
    if side == "auto":
        side = choose_side(_brightness(image), clusters.labels > 0)
    mask = clusters.labels > 0 if side == "bright" else clusters.labels < clusters.k - 1
    return KMeansResult(mask, clusters.k, centres, shares, side)


def otsu_mask(pixels: Pixels, *, foreground: Literal["auto", "bright", "dark"] = "auto") -> Mask:
    """Find the foreground with Otsu's threshold on the brightness: the other baseline.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9/1 (1979) 62-66. Its criterion
    is that of K-means with two clusters on a line, so the exact partition is the threshold.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, 3)`` RGB, any real type.
    foreground
        Which side of the threshold; found as by `cluster` unless given.
    """
    options = KMeansOptions(clusters=FEWEST_CLUSTERS, foreground=foreground)
    return cluster(_brightness(normalize(pixels, STRETCH)), options).mask


def _without_equal_channels(pixels: Pixels) -> Pixels:
    if pixels.ndim == 3 and all(np.array_equal(pixels[..., 0], pixels[..., i]) for i in range(1, pixels.shape[2])):
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def _brightness(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2:
        return pixels
    if pixels.dtype == np.uint8:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    return np.asarray(pixels @ np.array(LUMA, dtype=np.float32))


def _cluster_grey(image: npt.NDArray[np.uint8], clusters: int | Literal["auto"]) -> _Clusters:
    counts = cv2.calcHist([image], [0], None, [256], [0, 256]).reshape(-1)
    levels = np.flatnonzero(counts)
    most = MOST_CLUSTERS if clusters == "auto" else clusters
    partitions = partition_line(levels.astype(np.float64), counts[levels], most)
    k = fewest_clusters(partitions.inertia, EXPLAINED_GREY) if clusters == "auto" else len(partitions.starts)
    table = np.zeros(256, dtype=np.uint8)
    for start in levels[partitions.starts[k - 1][1:]]:
        table[start:] += 1
    return _Clusters(np.asarray(cv2.LUT(image, table), dtype=np.uint8), k)


def _cluster_colours(image: ImageUInt8, clusters: int | Literal["auto"]) -> _Clusters:
    colours = count_colours(image)
    axis = partition_axis(colours, MOST_CLUSTERS if clusters == "auto" else clusters)
    inertia = axis.partitions.inertia
    k = fewest_clusters(inertia, EXPLAINED_COLOUR) if clusters == "auto" else len(inertia)
    table = np.zeros(int(colours.cell.max()) + 1, dtype=np.uint8)
    if k > 1:
        table[colours.occupied] = cluster_colours(colours, axis, k)
    return _Clusters(table[colours.cell], k)


def _describe(pixels: Pixels, clusters: _Clusters) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Centres, in the units of the pixels, and shares."""
    centres, shares = [], []
    values = pixels if pixels.dtype in (np.uint8, np.uint16, np.float32) else pixels.astype(np.float64)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    for index in range(clusters.k):
        members = (clusters.labels == index).view(np.uint8)
        centres.append(tuple(float(value) for value in cv2.mean(values, mask=members)[:channels]))
        shares.append(cv2.countNonZero(members) / members.size)
    return tuple(centres), tuple(shares)
