"""Splitting a mask into instances: each pixel goes to the nearest seed of its own component.

The nearest seed by straight lines is found for all pixels at once by one distance transform, which is several times
faster than a watershed and gives nearly the same borders. A straight line may cross background, though: the nearest
seed may lie in a neighbouring cell beyond a thin gap, or around the bend of a U-shaped cell. Pixels like that, which
are not connected to their seed through pixels of the same seed, are handed on to the instances beside them, outward
from what is settled. So every instance is connected, none reaches across background, and together they are exactly the
mask.
"""

from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask

_CONNECTIVITY = 8
_MAX_STEPS = 500
"""Pixels by which instances grow one pixel at a time; what lies farther off is handed over in whole pieces."""

SHARED = -1
"""Marks components that hold several seeds until they are split."""

UNKNOWN = -2
"""Marks what the pixels of a window do not tell."""

_NEIGHBOURHOOD = np.ones((3, 3), dtype=np.uint8)

Int32Array = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]
_Value = TypeVar("_Value", bound=np.generic)


class OpenSides(NamedTuple):
    """At which sides a window cuts through the image instead of ending with it."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False


CLOSED = OpenSides()
"""The whole image."""


class SplitPlan(NamedTuple):
    """What becomes of each component, known before a pixel is split.

    Attributes
    ----------
    label_of_component : int32 (component,)
        Label of its one object, or `SHARED`; 0 for the background, which is component 0.
    component_of_seed : int32 (seed + 1,)
        The component of each seed that shares one with others, 0 for all other seeds.
    largest : int
        The largest label.
    """

    label_of_component: Int32Array
    component_of_seed: Int32Array
    largest: int


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
    component_of_seed = np.zeros(int(seeds.max(initial=0)) + 1, dtype=np.int32)
    seeds = np.asarray(cv2.copyTo(seeds, mask.view(np.uint8)), dtype=np.int32)  # 0 outside the mask
    seed_index = np.flatnonzero(seeds != 0)  # of a boolean image several times as fast as of numbers
    component_of_seed[seeds.ravel()[seed_index]] = components.ravel()[seed_index]
    return split_components(components, seeds, plan_split(component_of_seed, count))


def plan_split(component_of_seed: Int32Array, count: int) -> SplitPlan:
    """Decide what becomes of each component.

    Parameters
    ----------
    component_of_seed : int32 (seed + 1,)
        The component that each seed lies in; 0 for the background, which is seed 0, and for seeds that do not occur.
    count : int
        Components, the background among them.
    """
    largest = component_of_seed.size - 1
    seeds_in = np.bincount(component_of_seed[component_of_seed > 0], minlength=count)
    # Most components hold one seed or none: they are one object as they stand.
    label_of_component = np.zeros(count, dtype=np.int32)
    label_of_component[component_of_seed] = np.arange(largest + 1)
    without = np.flatnonzero(seeds_in[1:] == 0) + 1
    label_of_component[without] = largest + 1 + np.arange(without.size)
    label_of_component[0] = 0
    is_shared = seeds_in > 1
    label_of_component[is_shared] = SHARED
    shared_component = np.where(is_shared[component_of_seed], component_of_seed, 0).astype(np.int32)
    return SplitPlan(label_of_component, shared_component, largest + without.size)


def split_components(
    components: Int32Array, seeds: LabelImage, plan: SplitPlan, open_sides: OpenSides = CLOSED
) -> LabelImage:
    """Split the components of an image, or of a window of it.

    Parameters
    ----------
    components : int32 (y, x)
        Number of each pixel's component in the whole image, 0 for background.
    seeds : int32 (y, x)
        Number of each pixel's seed in the whole image, 0 where there is none and outside the components.
    plan : SplitPlan
        For the whole image.
    open_sides : OpenSides
        Where the window ends and the image goes on.

    Returns
    -------
    int32 (y, x)
        In a window each pixel has the label that it has in the whole image, or is `UNKNOWN`: that label may depend on
        what lies beyond the open sides. Without open sides nothing is unknown.

    Notes
    -----
    Why what is known is right stands in `docs/adr/0014-large-images-are-split-in-windows.md`.
    """
    labels = np.take(plan.label_of_component, components, mode="clip")  # "clip" spares a check of the indices
    index = np.flatnonzero(labels == SHARED)
    if index.size:
        _share(labels, index, components, seeds, plan.component_of_seed, open_sides)
    return labels


def _share(  # noqa: PLR0917 - one image in several layers
    labels: LabelImage,
    index: IndexArray,
    components: Int32Array,
    seeds: LabelImage,
    component_of_seed: Int32Array,
    open_sides: OpenSides,
) -> None:
    """Fill the components that hold several seeds, the pixels `index`, in place; elsewhere `labels` is final."""
    seed_index = np.flatnonzero(seeds != 0)
    seed_index = seed_index[component_of_seed[seeds.ravel()[seed_index]] > 0]
    seed_label = seeds.ravel()[seed_index]
    shape = labels.shape
    nearest, is_near = _nearest_seed(labels, index, seed_index, seed_label, open_sides)
    nearest[component_of_seed[nearest] != components.ravel()[index]] = 0  # the straight line crossed background

    # Erasing the smaller of two labels that meet leaves pieces that do not touch, which can be told apart as a mask.
    kept = (nearest > 0) & (_largest_beside(shape, index, nearest) == nearest)
    is_unknown = np.zeros(index.size, dtype=np.bool_)
    if is_near is not None:
        # What is not near makes its neighbours unknown, and what lies at an open side has neighbours beyond it.
        is_known = cv2.erode(is_near.view(np.uint8), _NEIGHBOURHOOD, borderType=cv2.BORDER_CONSTANT, borderValue=1)
        is_unknown = np.asarray(is_known).ravel()[index] == 0
        kept &= ~is_unknown
    piece_count, pieces = _components(_paint(shape, index, kept))
    holds_seed = np.zeros(piece_count, dtype=np.bool_)
    holds_seed[pieces.ravel()[seed_index]] = True
    holds_seed[0] = False
    piece = pieces.ravel()[index]
    settled = np.where(holds_seed[piece], nearest, 0)
    if is_unknown.any():
        # What lies beyond may lead from a piece without a seed to one.
        may_hold = np.zeros(piece_count, dtype=np.bool_)
        may_hold[piece[_largest_beside(shape, index, is_unknown.astype(np.int32)) > 0]] = True
        may_hold &= ~holds_seed
        may_hold[0] = False
        settled[is_unknown | may_hold[piece]] = UNKNOWN
    flat = labels.ravel()
    flat[index] = settled
    flat[seed_index] = seed_label
    is_stray = flat[index] == 0
    _hand_on(labels, index[is_stray], nearest[is_stray], has_unknown=bool(is_unknown.any()))


def _nearest_seed(
    labels: LabelImage, index: IndexArray, seed_index: IndexArray, seed_label: Int32Array, open_sides: OpenSides
) -> tuple[Int32Array, Mask | None]:
    """Find the seed nearest to each of the pixels `index`, and where in a window it is nearer than all beyond it."""
    is_free = np.ones(labels.shape, dtype=np.uint8)
    is_free.ravel()[seed_index] = 0
    distance, seed_pixels = cv2.distanceTransformWithLabels(is_free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    found = np.asarray(seed_pixels, dtype=np.int32).ravel()
    label_of_pixel = np.zeros(seed_index.size + 1, dtype=np.int32)
    label_of_pixel[found[seed_index]] = seed_label
    is_near = _is_nearer_than_beyond(np.asarray(distance), labels, open_sides) if any(open_sides) else None
    return label_of_pixel[found[index]], is_near


def _is_nearer_than_beyond(distance: npt.NDArray[np.floating], labels: LabelImage, open_sides: OpenSides) -> Mask:
    """Compare distances in a window with the steps to the nearest pixel beyond an open side.

    Pixels of other components than those that are split are nothing to wait for; those at an open side count as not
    near, because their neighbours lie beyond it.
    """
    height, width = distance.shape
    far = np.float32(height + width)
    up, left = (np.arange(1, length + 1, dtype=np.float32) for length in (height, width))
    rows = np.minimum(up if open_sides.top else far, up[::-1] if open_sides.bottom else far)
    columns = np.minimum(left if open_sides.left else far, left[::-1] if open_sides.right else far)
    is_near: Mask = (distance < np.reshape(rows, (-1, 1))) & (distance < np.reshape(columns, (1, -1)))
    is_near |= labels != SHARED
    for side, line in zip(open_sides, (is_near[0], is_near[-1], is_near[:, 0], is_near[:, -1]), strict=True):
        if side:
            line[...] = False
    return is_near


def _hand_on(labels: LabelImage, index: IndexArray, nearest: Int32Array, *, has_unknown: bool) -> None:
    """Give stray pixels, whose labels are 0, to the instances beside them, in place.

    First each instance grows into the pixels that are nearest to its own seed: that undoes the erasing and ends where
    the connection through such pixels ends. Then all grow into whatever is left of their component. A pixel that would
    have to know an unknown neighbour becomes unknown itself.
    """
    flat = labels.ravel()
    beside = _neighbours(labels.shape, index)
    # 1 + row in `index`, so that 0 says that a pixel is no stray.
    row_of_pixel = _paint(labels.shape, index, np.arange(1, index.size + 1, dtype=np.int32)).ravel()
    for only_own in (True, False):
        rows = np.flatnonzero(flat[index] == 0)
        for _ in range(_MAX_STEPS):
            found, own = flat[beside[rows]], nearest[rows]
            gains = np.where((found == own[:, np.newaxis]).any(axis=1), own, 0)
            undecided = (gains == 0) & (found == UNKNOWN).any(axis=1) if has_unknown else None
            if not only_own:
                first = np.take_along_axis(found, (found > 0).argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
                gains = np.where(gains > 0, gains, first)
            if undecided is not None:
                gains[undecided & (own > 0) if only_own else undecided] = UNKNOWN
            is_won = gains != 0
            if not is_won.any():
                break
            flat[index[rows[is_won]]] = gains[is_won]
            # Only what lies beside the pixels just won can be won next.
            is_near = np.zeros(index.size + 1, dtype=np.bool_)
            is_near[row_of_pixel[beside[rows[is_won]]]] = True
            rows = np.flatnonzero(is_near[1:])
            rows = rows[flat[index[rows]] == 0]
    rest = flat[index] == 0
    if rest.any():
        _hand_on_pieces(labels, index[rest], beside[rest])


def _hand_on_pieces(labels: LabelImage, index: IndexArray, beside: IndexArray) -> None:
    """Give what is farther than `_MAX_STEPS` from every instance away in connected pieces, in place."""
    flat = labels.ravel()
    count, pieces = _components(_paint(labels.shape, index, np.ones(index.size, dtype=np.bool_)))
    piece = pieces.ravel()[index]
    owner = np.zeros(count, dtype=np.int32)
    np.maximum.at(owner, piece, flat[beside].max(axis=1))
    owner[piece[(flat[beside] == UNKNOWN).any(axis=1)]] = UNKNOWN
    flat[index] = owner[piece]


def _neighbours(shape: tuple[int, ...], index: IndexArray) -> IndexArray:
    """Flat indices ``(pixel, 8)`` of the neighbours: those that share a side before those that share a corner.

    Beyond the edge of the image there is none; the pixel itself or another neighbour stands in its place.
    """
    height, width = shape
    y, x = np.divmod(index, width)
    up, down = np.maximum(y - 1, 0), np.minimum(y + 1, height - 1)
    left, right = np.maximum(x - 1, 0), np.minimum(x + 1, width - 1)
    pairs = ((up, x), (y, left), (y, right), (down, x), (up, left), (up, right), (down, left), (down, right))
    return np.stack([row * width + column for row, column in pairs], axis=1)


def _components(mask: Mask) -> tuple[int, Int32Array]:
    count, components = cv2.connectedComponents(mask.view(np.uint8), connectivity=_CONNECTIVITY)
    return count, np.asarray(components, dtype=np.int32)


def _largest_beside(shape: tuple[int, ...], index: IndexArray, values: Int32Array) -> npt.NDArray[np.number]:
    """Largest value among each of the pixels `index` and its eight neighbours; all other pixels are 0."""
    # OpenCV takes no int32 here; float32 holds whole numbers up to 2**24.
    largest = int(values.max(initial=0))
    dtype = np.uint16 if largest < 2**16 else np.float32 if largest < 2**24 else np.float64
    dilated = cv2.dilate(_paint(shape, index, values.astype(dtype)), _NEIGHBOURHOOD)
    return np.asarray(dilated).ravel()[index]


def _paint(shape: tuple[int, ...], index: IndexArray, values: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
    """Image that is 0 but for the pixels `index`."""
    image = np.zeros(shape, dtype=values.dtype)
    image.ravel()[index] = values
    return image
