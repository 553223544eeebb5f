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

from monolayer_core.arrays import ImageUInt8, Mask, Pixels
from monolayer_core.colours import brightness, cluster_colours, count_colours, partition_axis
from monolayer_core.errors import OptionError
from monolayer_core.foreground import Side, choose_side
from monolayer_core.grey_levels import cluster_grey, count_grey
from monolayer_core.illumination import correct_illumination
from monolayer_core.levels import look_up
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.normalization import apply_clahe, normalize
from monolayer_core.partition import MOST_CLUSTERS, fewest_clusters
from monolayer_core.texture import find_texture

Foreground = Literal["bright", "dark", "texture"]

FEWEST_CLUSTERS = 2

STRETCH = NormalizationSpec(low_percentile=0.01, high_percentile=99.99)
"""Wide, because clustering does not care for contrast: only single hot or dead pixels are to be clipped."""

EXPLAINED_COLOUR = 0.60
"""``clusters="auto"`` takes the fewest clusters that explain this share of the variance along the principal axis of the
colours. Lower than for grey levels, because a stained ground is itself of several colours, and
further clusters would divide the ground instead of finding fainter objects."""


@dataclass(frozen=True)
class KMeansOptions:
    """How to cluster.

    Attributes
    ----------
    clusters
        2 to 8, or ``"auto"``: the fewest that explain enough of the variance and leave the ground whole, see
        `partition.fewest_clusters`. An image with fewer grey levels or colours gets one cluster for each.
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
    grey = count_grey(image) if image.ndim == 2 else None
    if options.foreground == "texture" or (options.foreground == "auto" and grey and grey.ground_lies_between()):
        found = find_texture(brightness(pixels), options.clusters)
        return KMeansResult(found.mask, found.k, found.centres, found.shares, "texture")
    side = choose_side(brightness(image)) if options.foreground == "auto" else options.foreground
    labels, k = cluster_grey(image, grey, options.clusters, side) if grey else _cluster_colours(image, options.clusters)
    centres, shares = _describe(pixels, labels, k)
    return KMeansResult(_foreground(labels, k, side), k, centres, shares, side)


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
    image = brightness(image)
    side = choose_side(image) if foreground == "auto" else foreground
    labels, k = cluster_grey(image, count_grey(image), FEWEST_CLUSTERS, side)
    return _foreground(labels, k, side)


def _prepare(pixels: Pixels, options: KMeansOptions) -> tuple[Pixels, ImageUInt8]:
    """Pixels in the units of the input, corrected for illumination, and the image that is clustered."""
    if pixels.ndim == 3 and all(np.array_equal(pixels[..., 0], pixels[..., i]) for i in range(1, pixels.shape[2])):
        pixels = np.ascontiguousarray(pixels[..., 0])
    image = normalize(pixels, STRETCH)  # refuses what cannot be used
    if options.flat_field:
        pixels = correct_illumination(pixels)
        image = normalize(pixels, STRETCH)
    return pixels, apply_clahe(image) if options.clahe else image


def _cluster_colours(image: ImageUInt8, clusters: int | Literal["auto"]) -> tuple[ImageUInt8, int]:
    """Cluster of every pixel, 0 for the darkest, and the number of clusters."""
    colours = count_colours(image)
    axis = partition_axis(colours, MOST_CLUSTERS if clusters == "auto" else clusters)
    inertia = axis.partitions.inertia
    k = fewest_clusters(inertia, EXPLAINED_COLOUR) if clusters == "auto" else len(inertia)
    table = np.zeros(int(colours.occupied[-1]) + 1, dtype=np.uint8)
    if k > 1:
        table[colours.occupied] = cluster_colours(colours, axis, k)
    return look_up(colours.cell, table), k


def _foreground(labels: ImageUInt8, k: int, side: Side) -> Mask:
    """All clusters but the darkest or the brightest; nothing where there is one cluster."""
    mask: Mask = labels > 0 if side == "bright" else labels < k - 1
    return mask


def _describe(pixels: Pixels, labels: ImageUInt8, k: int) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Centres, in the units of the pixels, and shares."""
    centres, shares = [], []
    values = pixels if pixels.dtype in (np.uint8, np.uint16, np.float32) else pixels.astype(np.float64)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    for index in range(k):
        members = (labels == index).view(np.uint8)
        centres.append(tuple(float(value) for value in cv2.mean(values, mask=members)[:channels]))
        shares.append(cv2.countNonZero(members) / members.size)
    return tuple(centres), tuple(shares)
