"""Is this image like those a network was trained on? A cheap description of what the network sees, and a distance.

A network answers whatever it is shown, and its probabilities do not tell: on a kind of image it has never seen it may
be sure of itself. What it saw in training is therefore kept in the card, as a few kinds of images, each a Gaussian in a
space of features that hold no matter how large the image is and change little with moderate magnification:

- five quantiles of grey, which tell bright on dark from dark on bright and how much of the image is ground;
- mean and deviation of red - green and blue - green, which tell stains apart;
- of the details of about 4 and 8 pixels how evenly they are spread over the image, and how much of their energy is
  bright or dark. They are levels of P. Burt and E. Adelson, "The Laplacian pyramid as a compact image code", IEEE
  Trans. Communications 31 (1983) 532-540.

At most about one megapixel is looked at, in windows at full resolution.
"""

import functools
import math

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageRegions
from monolayer_core.card_blocks import ImageKind, LikenessFeature, TrainingLikeness
from monolayer_core.levels import count_each

GREY_FEATURES: tuple[LikenessFeature, ...] = (
    "grey_05",
    "grey_25",
    "grey_50",
    "grey_75",
    "grey_95",
    "spread_4px",
    "skew_4px",
    "spread_8px",
    "skew_8px",
)
"""Of every image."""

COLOUR_FEATURES: tuple[LikenessFeature, ...] = (
    "red_green_mean",
    "blue_green_mean",
    "red_green_deviation",
    "blue_green_deviation",
)
"""Of RGB images."""

_QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
_FAINTEST = 0.03
"""Root mean square of details, in grey levels, below which their shape means nothing."""

_WHOLE_SIDE_PX, _WINDOW_PX, _WINDOWS = 1024, 256, 4  # longer sides are looked at in four windows, evenly spaced


def features_of(channel_count: int) -> tuple[LikenessFeature, ...]:
    """Names of the features of images with 1 or 3 channels, in the order of `describe`."""
    return GREY_FEATURES if channel_count == 1 else GREY_FEATURES + COLOUR_FEATURES


def describe(image: ImageRegions) -> npt.NDArray[np.float64]:
    """Describe an image by the features named by `features_of`.

    Parameters
    ----------
    image : uint8 (y, x, channel)
        As the network sees it, with 1 or 3 channels; of any size.

    Returns
    -------
    float64 (feature,)
        Grey levels and their differences 0 to 1 or -1 to 1. ``spread`` is the mean size of details over their root mean
        square: 0.8 for noise, towards 0 where a few details stand on an empty ground. ``skew`` is the difference
        of the energies of bright and dark details over their sum.

    Examples
    --------
    >>> grey = np.repeat(np.array([0, 255], dtype=np.uint8), 800).reshape(40, 40, 1)
    >>> dict(zip(features_of(1), describe(grey).round(2).tolist()))["grey_75"]
    1.0
    """
    counts = np.zeros(256)
    details = np.zeros((2, 4))
    colours = np.zeros((2, 3))
    for rows in _windows(image.shape[0]):
        for columns in _windows(image.shape[1]):
            half = np.asarray(cv2.pyrDown(np.ascontiguousarray(image[rows, columns])), dtype=np.uint8)
            if image.shape[2] == 3:
                colours += _colour_sums(half)
                half = np.asarray(cv2.cvtColor(half, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
            counts += count_each(half)
            level = np.asarray(cv2.pyrDown(half), dtype=np.float32)
            details[0] += _detail_sums(level)
            details[1] += _detail_sums(np.asarray(cv2.pyrDown(level), dtype=np.float32))
    values = [*_quantiles(counts), *_shape(details[0]), *_shape(details[1])]
    if image.shape[2] == 3:
        means = colours[:, 1] / colours[:, 0]
        values += [*means, *np.sqrt(np.maximum(colours[:, 2] / colours[:, 0] - means**2, 0.0))]
    return np.array(values, dtype=np.float64)


def distance_from_training(image: ImageRegions, likeness: TrainingLikeness) -> float:
    """Distance of an image from the nearest kind of training images, in standard deviations of that kind.

    Parameters
    ----------
    image : uint8 (y, x, channel)
        As the network sees it.
    likeness : TrainingLikeness
        From the card.
    """
    known = dict(zip(features_of(image.shape[2]), describe(image).tolist(), strict=True))
    # A colour feature of a grey image is that of the same image in RGB: no colour.
    features = np.array([known.get(name, 0.0) for name in likeness.features])
    return float(distances(features[np.newaxis], likeness)[0])


def distances(features: npt.NDArray[np.float64], likeness: TrainingLikeness) -> npt.NDArray[np.float64]:
    """Distances ``(image,)`` of described images ``(image, feature)`` from the nearest kind."""
    found = []
    for kind in likeness.kinds:
        centre, whitening = _arrays_of(kind)
        found.append(np.linalg.norm((features - centre) @ whitening.T, axis=1))
    return np.asarray(np.min(found, axis=0))


@functools.lru_cache(maxsize=64)
def _arrays_of(kind: ImageKind) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centre and whitening matrix of a kind; made once, since they cost as much as the rest of a distance tenfold."""
    whitening = np.zeros((len(kind.centre), len(kind.centre)))
    whitening[np.tril_indices(len(kind.centre))] = np.concatenate(kind.whitening)
    return np.array(kind.centre), whitening


def _windows(side: int) -> list[slice]:
    if side <= _WHOLE_SIDE_PX:
        return [slice(0, side)]
    starts = [number * (side - _WINDOW_PX) // (_WINDOWS - 1) for number in range(_WINDOWS)]
    return [slice(start, start + _WINDOW_PX) for start in starts]


def _quantiles(counts: npt.NDArray[np.float64]) -> list[float]:
    places = np.searchsorted(np.cumsum(counts), np.array(_QUANTILES) * counts.sum())
    quantiles: list[float] = (places / 255).tolist()
    return quantiles


def _colour_sums(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Count, sum and sum of squares of red - green and of blue - green, each -1 to 1."""
    red, green, blue = cv2.split(image)
    sums = []
    for other in (red, blue):
        mean, deviation = (float(v.item()) / 255 for v in cv2.meanStdDev(cv2.subtract(other, green, dtype=cv2.CV_16S)))
        sums.append([green.size, green.size * mean, green.size * (deviation**2 + mean**2)])
    return np.array(sums)


def _detail_sums(level: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Count and the sums of size, square and square with its sign of what the next level of the pyramid has lost."""
    coarser = cv2.pyrUp(cv2.pyrDown(level), dstsize=(level.shape[1], level.shape[0]))
    detail = cv2.subtract(level, coarser).ravel()
    square = detail * detail
    return np.array(
        [
            detail.size,
            np.abs(detail).sum(dtype=np.float64),
            square.sum(dtype=np.float64),
            np.vdot(np.abs(detail), detail),
        ]
    )


def _shape(sums: npt.NDArray[np.float64]) -> list[float]:
    count, size, square, signed_square = sums.tolist()
    strength = math.sqrt(square / count) + _FAINTEST
    return [size / count / strength, signed_square / count / strength**2]
