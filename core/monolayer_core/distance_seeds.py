"""Seeds without a network: one for each hill of the distance to the background.

Two round objects that touch are two hills of the distance transform with a saddle at the neck between them. Every pixel
is led uphill to a summit; summits that share a hill are merged in the order of their saddles, the highest first, as
long as the neck is nearly as wide as the smaller of the two objects (its saddle at least `merge_ratio` of the lower
summit). That is the topological persistence of the summits, relative to their height, so that small and large objects
are treated alike (Edelsbrunner, Letscher & Zomorodian, "Topological persistence and simplification", 2002; Vincent,
"Morphological grayscale reconstruction in image analysis", 1993, for the absolute form, the h-maxima).
"""

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask

_SMOOTHING_SIGMA_PX = 1.5
"""Takes the steps out of the distance, which is made of whole pixels, so that few summits are accidents of the grid."""

MERGE_RATIO = 0.9
"""Neck width over width of the smaller object from which on the two are one; found on nuclei of the DSB 2018."""

Floats = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.intp]


def seeds_from_distance(mask: Mask, *, merge_ratio: float = MERGE_RATIO) -> LabelImage:
    """Find one seed for each roundish part of a mask.

    Parameters
    ----------
    mask : bool (y, x)
        Foreground, 8-connected. The edge of the image does not count as background: an object cut by it is not split.
    merge_ratio : float
        0 to 1: two parts stay apart where the neck between them is narrower than this share of the smaller part's
        width. With 1 all summits stay but those of one plateau, with 0 each component has one seed.

    Returns
    -------
    int32 (y, x)
        1 to N for the seeds, each one 8-connected piece around the summit of a hill, at least one per component. Seeds
        of one component rise above the necks between them, so that the pixels midway between two seeds lie at the neck.
    """
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32)
    if mask.all():
        everything = np.zeros(mask.shape, dtype=np.int32)
        everything[mask.shape[0] // 2, mask.shape[1] // 2] = 1
        return everything
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    height = np.asarray(cv2.GaussianBlur(distance, (0, 0), _SMOOTHING_SIGMA_PX), dtype=np.float32)
    height[~mask] = 0.0
    summit_of_pixel, hill = _climb(height, mask)
    heights = height.ravel()[summit_of_pixel]
    first, second, saddles = _saddles(hill, height)
    group, level = _merge(heights, first, second, saddles, merge_ratio)

    # The part of a hill above its highest saddle never touches that of another; only the piece with the summit counts.
    in_group = np.append(group, -1)[hill]
    is_high = (in_group >= 0) & (height > np.append(level, np.inf)[in_group])
    count, pieces = cv2.connectedComponents(is_high.view(np.uint8), connectivity=8)
    number = np.zeros(count, dtype=np.int32)
    tops = pieces.ravel()[summit_of_pixel[np.unique(group)]]
    number[tops] = np.arange(1, tops.size + 1)
    seeds: LabelImage = number[pieces]
    return seeds


def _climb(height: Floats, mask: Mask) -> tuple[IndexArray, npt.NDArray[np.int32]]:
    """Lead every pixel uphill, to the highest of its neighbours and on level ground to the last one in raster order.

    Returns
    -------
    summits : intp (summit,)
        Flat index of each summit.
    hill : int32 (y, x)
        Index of the summit that each pixel leads to, -1 outside the mask.
    """
    rows, columns = height.shape
    padded = np.pad(height, 1)
    flat = padded.ravel()
    stride = columns + 2
    y, x = np.nonzero(mask)
    inside = (y + 1) * stride + x + 1
    uphill = inside.copy()
    best = flat[inside]
    for offset in (-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1):
        there = flat[inside + offset]
        is_higher = there >= best if offset > 0 else there > best
        np.copyto(best, there, where=is_higher)
        np.copyto(uphill, inside + offset, where=is_higher)
    target = np.zeros(flat.size, dtype=np.intp)
    target[inside] = np.arange(inside.size)
    pointer = target[uphill]
    while not np.array_equal(pointer, further := pointer[pointer]):
        pointer = further  # each round doubles the length of the way
    is_summit = pointer == np.arange(inside.size)
    number = np.cumsum(is_summit) - 1
    hill = np.full((rows, columns), -1, dtype=np.int32)
    hill[y, x] = number[pointer]
    return (y * columns + x)[is_summit], hill


def _saddles(hill: npt.NDArray[np.int32], height: Floats) -> tuple[IndexArray, IndexArray, Floats]:
    """Find the pairs of hills that meet and the height of the highest pass between them."""
    pairs, passes = [], []
    rows, columns = hill.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, rows - down), slice(max(-right, 0), columns - max(right, 0)))
        there = (slice(down, rows), slice(max(right, 0), columns + min(right, 0)))
        a, b = hill[here], hill[there]
        meets = (a != b) & (a >= 0) & (b >= 0)
        a, b = a[meets].astype(np.int64), b[meets].astype(np.int64)
        pairs.append(np.minimum(a, b) << 32 | np.maximum(a, b))
        passes.append(np.minimum(height[here][meets], height[there][meets]))
    pair, saddle = np.concatenate(pairs), np.concatenate(passes)
    order = np.lexsort((-saddle, pair))
    pair, saddle = pair[order], saddle[order]
    is_highest = np.ones(pair.size, dtype=np.bool_)
    is_highest[1:] = pair[1:] != pair[:-1]
    pair, saddle = pair[is_highest], saddle[is_highest]
    order = np.argsort(-saddle, kind="stable")
    return (pair >> 32)[order], (pair & 0xFFFFFFFF)[order], saddle[order]


def _merge(
    heights: Floats, first: IndexArray, second: IndexArray, saddles: Floats, merge_ratio: float
) -> tuple[IndexArray, Floats]:
    """Merge hills over their saddles, the highest first.

    Returns
    -------
    group : intp (hill,)
        The hill with the highest summit among those merged.
    level : float32 (hill,)
        For such a hill the highest saddle towards another group, 0 where it stands alone.
    """
    summits, passes = heights.astype(np.float64), saddles.astype(np.float64)
    may_merge = passes >= merge_ratio * np.minimum(summits[first], summits[second])
    parent, summit = list(range(heights.size)), summits.tolist()

    def top(hill: int) -> int:
        while parent[hill] != hill:
            parent[hill] = parent[parent[hill]]
            hill = parent[hill]
        return hill

    candidates = (column[may_merge].tolist() for column in (first, second, passes))
    for one, other, saddle in zip(*candidates, strict=True):
        high, low = top(one), top(other)
        if summit[high] < summit[low] or (summit[high] == summit[low] and high > low):
            high, low = low, high
        if high != low and saddle >= merge_ratio * summit[low]:
            parent[low] = high
    group = np.array([top(hill) for hill in range(heights.size)], dtype=np.intp)
    one, other = group[first], group[second]
    is_between = one != other
    level = np.zeros_like(heights)
    for side in (one, other):
        np.maximum.at(level, side[is_between], saddles[is_between])
    return group, level
