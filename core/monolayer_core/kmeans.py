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
from monolayer_core.colours import brightness, cluster_colours, count_colours, partition_axis
from monolayer_core.errors import OptionError
from monolayer_core.foreground import choose_side
from monolayer_core.illumination import correct_illumination
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.normalization import apply_clahe, count_levels, look_up, normalize
from monolayer_core.partition import fewest_clusters, partition_line
from monolayer_core.texture import find_texture

Foreground = Literal["bright", "dark", "texture"]

FEWEST_CLUSTERS = 2
MOST_CLUSTERS = 8

STRETCH = NormalizationSpec(low_percentile=0.01, high_percentile=99.99)
"""Wide, because clustering does not care for contrast: only single hot or dead pixels are to be clipped."""

EXPLAINED_GREY = 0.85
"""``clusters="auto"`` takes the fewest clusters that explain this share of the variance of the grey levels."""

EXPLAINED_COLOUR = 0.60
"""The same along the principal axis of the colours. Lower, because a stained ground is itself of several colours, and
further clusters would divide the ground instead of finding fainter objects."""

GROUND_BETWEEN = 2 / 3
"""Where the middle one of three clusters holds more than this share of a grey image, brightness does not tell cells
from the ground and ``foreground="auto"`` goes by texture. In phase contrast it holds nine tenths, in a crowded corner
still 0.68; in fluorescence and brightfield hardly ever a third. Of pure noise it holds 0.46."""


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
        the image is locally uneven (phase contrast); ``"auto"``: texture where a grey image's ground lies between
        darker and brighter parts of cells, else bright or dark, whichever is not the smooth ground.
    flat_field
        Divide by the illumination first; it is found together with the clusters, see `illumination`.
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
    """Cluster of every pixel, 0 for the darkest; whether the ground lies between darker and brighter parts of cells."""

    labels: npt.NDArray[np.uint8]
    k: int
    ground_between: bool = False


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
    pixels, image = _prepare(pixels, options)
    if options.foreground == "texture":
        return _cluster_texture(pixels, options.clusters)
    clusters = _cluster_grey(image, options.clusters) if image.ndim == 2 else _cluster_colours(image, options.clusters)
    if options.foreground == "auto" and clusters.ground_between:
        return _cluster_texture(pixels, options.clusters)
    bright, dark = clusters.labels > 0, clusters.labels < clusters.k - 1  # neither where there is one cluster
    side = choose_side(brightness(image)) if options.foreground == "auto" else options.foreground
    centres, shares = _describe(pixels, clusters)
    return KMeansResult(bright if side == "bright" else dark, clusters.k, centres, shares, side)


def otsu_mask(
    pixels: Pixels, *, foreground: Literal["auto", "bright", "dark"] = "auto", flat_field: bool = False
) -> Mask:
    """Find the foreground with Otsu's threshold on the brightness: the other baseline.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9/1 (1979) 62-66. Its criterion is that of K-means with two clusters on a line, so that the exact
    partition is the threshold.

    Parameters
    ----------
    pixels
        ``(y, x)`` or ``(y, x, 3)`` RGB, any real type.
    foreground
        Which side of the threshold; decided as by `cluster` unless given.
    flat_field
        Divide by the illumination first.

    Raises
    ------
    UnusableImageError
        The image is empty, complex, or holds NaN or infinity.
    """
    _, image = _prepare(pixels, KMeansOptions(flat_field=flat_field))
    grey = brightness(image)
    clusters = _cluster_grey(grey, FEWEST_CLUSTERS)
    bright, dark = clusters.labels > 0, clusters.labels < clusters.k - 1
    side = choose_side(grey) if foreground == "auto" else foreground
    return bright if side == "bright" else dark


def _prepare(pixels: Pixels, options: KMeansOptions) -> tuple[Pixels, ImageUInt8]:
    """Pixels in the units of the input, corrected for illumination, and the image that is clustered."""
    if pixels.ndim == 3 and all(np.array_equal(pixels[..., 0], pixels[..., i]) for i in range(1, pixels.shape[2])):
        pixels = np.ascontiguousarray(pixels[..., 0])
    image = normalize(pixels, STRETCH)  # refuses what cannot be used
    if options.flat_field:
        pixels = correct_illumination(pixels)
        image = normalize(pixels, STRETCH)
    return pixels, apply_clahe(image) if options.clahe else image


def _cluster_texture(pixels: Pixels, clusters: int | Literal["auto"]) -> KMeansResult:
    found = find_texture(brightness(pixels), clusters)
    return KMeansResult(found.mask, found.k, found.centres, found.shares, "texture")


def _cluster_grey(image: ImageUInt8, clusters: int | Literal["auto"]) -> _Clusters:
    counts = count_levels(image).counts
    levels = np.flatnonzero(counts)
    partitions = partition_line(levels.astype(np.float64), counts[levels], MOST_CLUSTERS)
    found = len(partitions.starts)
    k = fewest_clusters(partitions.inertia, EXPLAINED_GREY) if clusters == "auto" else min(clusters, found)
    table = np.zeros(len(counts), dtype=np.uint8)
    for start in levels[partitions.starts[k - 1][1:]]:
        table[start:] += 1
    ground_between = False
    if found >= 3:
        middle = slice(*levels[partitions.starts[2][1:]])
        ground_between = bool(counts[middle].sum() > GROUND_BETWEEN * image.size)
    return _Clusters(look_up(image, table), k, ground_between)


def _cluster_colours(image: ImageUInt8, clusters: int | Literal["auto"]) -> _Clusters:
    colours = count_colours(image)
    axis = partition_axis(colours, MOST_CLUSTERS if clusters == "auto" else clusters)
    inertia = axis.partitions.inertia
    k = fewest_clusters(inertia, EXPLAINED_COLOUR) if clusters == "auto" else len(inertia)
    table = np.zeros(int(colours.occupied[-1]) + 1, dtype=np.uint8)
    if k > 1:
        table[colours.occupied] = cluster_colours(colours, axis, k)
    return _Clusters(look_up(colours.cell, table), k)


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
