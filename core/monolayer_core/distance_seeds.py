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
Int32Array = npt.NDArray[np.int32]

_AROUND = tuple((down, right) for down in range(3) for right in range(3))
"""Where in a margin of one pixel a pixel's neighbours and it itself lie, in raster order."""


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
    index = np.flatnonzero(mask)
    summits, hill = _climb(height, index)
    height_at = height.ravel()[index]
    first, second, saddles = _saddles(mask.shape, index, hill, height_at)
    group, level = _merge(height_at[summits], first, second, saddles, merge_ratio)

    # The part of a hill above its highest saddle never touches that of another; only the piece with the summit counts.
    is_high = np.zeros(mask.shape, dtype=np.uint8)
    is_high.ravel()[index] = height_at > level[group][hill]
    count, found = cv2.connectedComponents(is_high, connectivity=8)
    pieces = np.asarray(found, dtype=np.int32)
    number = np.zeros(count, dtype=np.int32)
    tops = pieces.ravel()[index[summits[np.unique(group)]]]
    number[tops] = np.arange(1, tops.size + 1)
    return np.take(number, pieces, mode="clip")  # "clip" spares a check of the indices


def _climb(height: Floats, index: IndexArray) -> tuple[IndexArray, Int32Array]:
    """Lead every pixel uphill, to the highest of its neighbours and on level ground to the last one in raster order.

    Parameters
    ----------
    height : float32 (y, x)
        Positive in the mask, 0 elsewhere.
    index : intp (pixel,)
        Flat indices of the mask's pixels, ascending.

    Returns
    -------
    summits : intp (summit,)
        Which of the pixels are summits, ascending.
    hill : int32 (pixel,)
        Number of the summit that each pixel leads to.
    """
    rows, columns = height.shape
    highest = np.asarray(cv2.dilate(height, np.ones((3, 3), dtype=np.uint8)))
    padded = cv2.copyMakeBorder(height, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0.0)
    # One comparison of whole images for each direction: far cheaper than reading every pixel's neighbours one by one.
    direction = np.zeros(height.shape, dtype=np.uint8)
    for number, (down, right) in enumerate(_AROUND):
        is_there = padded[down : down + rows, right : right + columns] == highest
        np.maximum(direction, is_there.view(np.uint8) * np.uint8(number), out=direction)
    steps = np.array([(down - 1) * columns + right - 1 for down, right in _AROUND], dtype=np.int32)
    place = np.zeros(height.size, dtype=np.int32)
    place[index] = np.arange(index.size, dtype=np.int32)
    pointer = place[index + steps[direction.ravel()[index]]]
    while not np.array_equal(pointer, further := pointer[pointer]):
        pointer = further  # each round doubles the length of the way
    is_summit = pointer == np.arange(index.size, dtype=np.int32)
    return np.flatnonzero(is_summit), (np.cumsum(is_summit, dtype=np.int32) - 1)[pointer]


def _saddles(
    shape: tuple[int, ...], index: IndexArray, hill: Int32Array, height_at: Floats
) -> tuple[IndexArray, IndexArray, Floats]:
    """Find the pairs of hills that meet and the height of the highest pass between them.

    Parameters
    ----------
    shape : (y, x)
    index, hill, height_at : (pixel,)
        Flat index, hill and height of each pixel of the mask.
    """
    rows, columns = shape
    # With a margin of -1 behind the last column and row, each direction is one shift of the flat image.
    stride = columns + 1
    hills = np.full((rows + 1) * stride + 1, -1, dtype=np.int32)
    heights = np.zeros(hills.size, dtype=np.float32)
    at = index + index // columns
    hills[at], heights[at] = hill, height_at
    pairs, passes = [], []
    for shift in (1, stride - 1, stride, stride + 1):
        here = np.flatnonzero(hills[:-shift] != hills[shift:])
        here = here[(hills[here] >= 0) & (hills[here + shift] >= 0)]
        a, b = hills[here].astype(np.int64), hills[here + shift].astype(np.int64)
        pairs.append(np.minimum(a, b) << 32 | np.maximum(a, b))
        passes.append(np.minimum(heights[here], heights[here + shift]))
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
