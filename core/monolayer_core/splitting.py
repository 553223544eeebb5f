"""Splitting a mask into instances: each pixel goes to the nearest seed of its own component.

The nearest seed by straight lines is found for all pixels at once by one distance transform, which is several times
faster than a watershed and gives nearly the same borders. A straight line may cross background, though: the nearest
seed may lie in a neighbouring cell beyond a thin gap, or around the bend of a U-shaped cell. Pixels like that, which
are not connected to their seed through pixels of the same seed, are handed on to the instances beside them, outward
from what is settled. So every instance is connected, none reaches across background, and together they are exactly the
mask.
"""

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask

_CONNECTIVITY = 8
_MAX_STEPS = 200
"""Pixels by which instances grow one pixel at a time; what lies farther off is handed over in whole pieces."""

Int32Array = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]


def split_by_seeds(mask: Mask, seeds: LabelImage) -> LabelImage:
    """Split the components of a mask at the seeds they hold.

    Parameters
    ----------
    mask : bool (y, x)
        Foreground, 8-connected.
    seeds : int32 (y, x)
        0 where there is no seed, a positive number per seed. A seed is one 8-connected piece; parts of it outside the
        mask are ignored.

    Returns
    -------
    int32 (y, x)
        Positive exactly where the mask is. The instance of a seed has the seed's number; a component without a seed is
        an object of its own, numbered after the largest seed.

    Examples
    --------
    >>> mask = np.ones((2, 5), dtype=bool)
    >>> split_by_seeds(mask, np.array([[1, 0, 0, 0, 2], [0, 0, 0, 0, 0]], dtype=np.int32))[:, [0, 1, 3, 4]]
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]], dtype=int32)
    """
    count, components = _components(mask)
    seed_index = np.flatnonzero((seeds > 0) & mask)
    seed_label = seeds.ravel()[seed_index]
    largest = int(seeds.max(initial=0))
    component_of_seed = np.zeros(largest + 1, dtype=np.int32)
    component_of_seed[seed_label] = components.ravel()[seed_index]
    seeds_in = np.bincount(component_of_seed[component_of_seed > 0], minlength=count)

    # Most components hold one seed or none: they are one object as they stand.
    label_of_component = np.zeros(count, dtype=np.int32)
    label_of_component[component_of_seed] = np.arange(largest + 1)
    without = np.flatnonzero(seeds_in[1:] == 0) + 1
    label_of_component[without] = largest + 1 + np.arange(without.size)
    label_of_component[0] = 0
    is_shared = seeds_in > 1
    label_of_component[is_shared] = 0
    labels: LabelImage = label_of_component[components]
    if is_shared.any():
        component_of_seed[~is_shared[component_of_seed]] = 0
        _share(labels, components, np.where(mask, seeds, 0), component_of_seed)
    return labels


def _share(labels: LabelImage, components: Int32Array, seeds: LabelImage, component_of_seed: Int32Array) -> None:
    """Fill the components that hold several seeds, in place.

    Parameters
    ----------
    labels : int32 (y, x)
        Final but for those components, where it is 0.
    components : int32 (y, x)
        Number of the component, 0 for background.
    seeds : int32 (y, x)
        Seeds within the mask.
    component_of_seed : int32 (seed + 1,)
        The component that a seed shares with others, 0 for a seed alone in its own.
    """
    shared = (labels == 0) & (components > 0)
    seed_index = np.flatnonzero(shared & (seeds > 0))
    nearest = _nearest_seed(shared, seed_index, seeds)
    nearest[component_of_seed[nearest] != components] = 0  # the straight line crossed background

    # Erasing the smaller of two labels that meet leaves pieces that do not touch, which can be told apart as a mask.
    kept = (nearest > 0) & (_largest_beside(nearest) == nearest)
    piece_count, pieces = _components(kept)
    holds_seed = np.zeros(piece_count, dtype=np.bool_)
    holds_seed[pieces.ravel()[seed_index]] = True
    holds_seed[0] = False
    np.copyto(labels, nearest, where=holds_seed[pieces])
    labels.ravel()[seed_index] = seeds.ravel()[seed_index]
    _hand_on(labels, shared & (labels == 0), nearest)


def _nearest_seed(shared: Mask, seed_index: IndexArray, seeds: LabelImage) -> Int32Array:
    """Label of the nearest seed for each pixel of `shared`, 0 elsewhere."""
    is_free = np.ones(shared.shape, dtype=np.uint8)
    is_free.ravel()[seed_index] = 0
    _, seed_pixels = cv2.distanceTransformWithLabels(is_free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    label_of_pixel = np.zeros(seed_index.size + 1, dtype=np.int32)
    label_of_pixel[seed_pixels.ravel()[seed_index]] = seeds.ravel()[seed_index]
    nearest: Int32Array = label_of_pixel[np.asarray(seed_pixels)]
    nearest[~shared] = 0
    return nearest


def _hand_on(labels: LabelImage, stray: Mask, nearest: Int32Array) -> None:
    """Give stray pixels to the instances beside them, in place.

    First each instance grows into the pixels that are nearest to its own seed: that undoes the erasing and ends where
    the connection through such pixels ends. Then all grow into whatever is left of their component.
    """
    height, width = labels.shape
    padded = np.zeros((height + 2, width + 2), dtype=np.int32)
    padded[1:-1, 1:-1] = labels
    flat = padded.ravel()
    y, x = np.nonzero(stray)
    index = (y + 1) * (width + 2) + x + 1
    wanted = nearest[y, x]
    for only_own in (True, False):
        index, wanted = _grow(flat, index, wanted, width + 2, only_own=only_own)
    labels[:] = padded[1:-1, 1:-1]
    if index.size:
        _hand_on_pieces(labels, index, width + 2)


def _grow(
    flat: Int32Array, index: IndexArray, wanted: Int32Array, stride: int, *, only_own: bool
) -> tuple[IndexArray, Int32Array]:
    """Grow labels into the pixels `index` step by step and return those that were not reached."""
    for _ in range(_MAX_STEPS):
        if not index.size:
            break
        beside = flat[index[:, np.newaxis] + _neighbours(stride)]
        gains = np.where((beside == wanted[:, np.newaxis]).any(axis=1), wanted, 0)
        if not only_own:
            first = np.take_along_axis(beside, (beside > 0).argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
            gains = np.where(gains > 0, gains, first)
        if not gains.any():
            break
        flat[index] = gains
        index, wanted = index[gains == 0], wanted[gains == 0]
    return index, wanted


def _hand_on_pieces(labels: LabelImage, index: IndexArray, stride: int) -> None:
    """Give what is farther than `_MAX_STEPS` from every instance away in connected pieces, in place."""
    y, x = np.divmod(index, stride)
    y, x = y - 1, x - 1
    rest = np.zeros(labels.shape, dtype=np.bool_)
    rest[y, x] = True
    count, pieces = _components(rest)
    owner = np.zeros(count, dtype=np.int32)
    np.maximum.at(owner, pieces[y, x], _largest_beside(labels)[y, x])
    labels[y, x] = owner[pieces[y, x]]


def _components(mask: Mask) -> tuple[int, Int32Array]:
    count, components = cv2.connectedComponents(mask.view(np.uint8), connectivity=_CONNECTIVITY)
    return count, np.asarray(components, dtype=np.int32)


def _largest_beside(labels: Int32Array) -> Int32Array:
    """Largest label among each pixel and its eight neighbours."""
    # OpenCV takes no int32 here; float32 holds whole numbers up to 2**24.
    exact = labels.astype(np.float32) if labels.max() < 2**24 else labels.astype(np.float64)
    return np.asarray(cv2.dilate(exact, np.ones((3, 3), dtype=np.uint8))).astype(np.int32)


def _neighbours(stride: int) -> IndexArray:
    """Offsets of the eight neighbours in a flat image: those that share a side before those that share a corner."""
    return np.array([-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1])
