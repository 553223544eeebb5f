"""One seed for each roundish part of a mask."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from monolayer_core.distance_seeds import _SMOOTHING_SIGMA_PX, seeds_from_distance


def discs(shape, *circles):
    """A mask of filled circles ``(y, x, radius)``."""
    image = np.zeros(shape, dtype=np.uint8)
    for y, x, radius in circles:
        cv2.circle(image, (x, y), radius, 1, -1)
    return image.astype(bool)


@pytest.mark.parametrize(
    ("circles", "expected"),
    [
        pytest.param([(40, 40, 20)], 1, id="one disc"),
        pytest.param([(40, 25, 15), (40, 52, 15)], 2, id="two discs that touch"),
        pytest.param([(40, 25, 4), (40, 32, 4)], 2, id="two small discs that touch"),
        pytest.param([(40, 30, 25), (40, 62, 9)], 2, id="a small disc at a large one"),
        pytest.param([(40, 36, 15), (40, 42, 15)], 1, id="two discs that nearly coincide"),
        pytest.param([(25, 25, 14), (25, 51, 14), (48, 38, 14)], 3, id="three discs that touch"),
        pytest.param([(20, 20, 8), (60, 60, 8)], 2, id="two discs apart"),
    ],
)
def test_round_objects_have_one_seed_each(circles, expected):
    mask = discs((80, 80), *circles)
    seeds = seeds_from_distance(mask)
    assert seeds.max() == expected
    if expected > 1:
        assert sorted(seeds[y, x] for y, x, _ in circles) == list(range(1, expected + 1))


def test_a_long_object_is_not_split():
    mask = np.zeros((20, 200), dtype=bool)
    mask[5:15, 10:190] = True
    assert seeds_from_distance(mask).max() == 1


def test_an_object_cut_by_the_edge_of_the_image_has_one_seed():
    assert seeds_from_distance(discs((60, 60), (0, 30, 20), (59, 0, 10))).max() == 2


def test_the_ratio_decides_how_narrow_a_neck_must_be():
    mask = discs((80, 80), (40, 30, 15), (40, 50, 15))
    assert seeds_from_distance(mask, merge_ratio=0.0).max() == 1
    assert seeds_from_distance(mask, merge_ratio=1.0).max() >= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 5)])
def test_degenerate_masks(shape):
    assert not seeds_from_distance(np.zeros(shape, dtype=bool)).any()
    assert seeds_from_distance(np.ones(shape, dtype=bool)).max() == 1


@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.3, 0.6, 0.9]),
    st.sampled_from([0.0, 0.5, 0.85, 1.0]),
)
def test_every_component_has_seeds_and_every_seed_is_one_piece_of_the_mask(shape, seed, share, merge_ratio):
    mask = np.random.default_rng(seed).random(shape) < share
    seeds = seeds_from_distance(mask, merge_ratio=merge_ratio)
    assert not seeds[~mask].any()
    assert set(np.unique(seeds)) - {0} == set(range(1, seeds.max() + 1))
    for number in range(1, seeds.max() + 1):
        assert label(seeds == number, connectivity=2).max() == 1
    components = label(mask, connectivity=2)
    assert set(np.unique(components[seeds > 0])) == set(range(1, components.max() + 1))
    if merge_ratio == 0:
        assert seeds.max() == components.max()


def slow_seeds(mask, merge_ratio):
    """The same seeds pixel by pixel, as the module says it."""
    distance = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    height = np.where(mask, cv2.GaussianBlur(distance, (0, 0), _SMOOTHING_SIGMA_PX), np.float32(0))
    beside = slow_neighbours(mask)
    hill = {pixel: slow_climb(pixel, beside, height) for pixel in beside}
    saddles = slow_saddles(hill, beside, height)
    group = {top: top for top in hill.values()}
    for (a, b), saddle in sorted(saddles.items(), key=lambda item: (-item[1], item[0])):
        low, high = sorted((group[a], group[b]), key=lambda top: (height[top], (-top[0], -top[1])))
        if low != high and float(saddle) >= merge_ratio * float(height[low]):
            group = {top: high if owner == low else owner for top, owner in group.items()}
    level = dict.fromkeys(group.values(), 0.0)
    for (a, b), saddle in saddles.items():
        if group[a] != group[b]:
            level |= {side: max(level[side], saddle) for side in (group[a], group[b])}
    seeds = np.zeros(mask.shape, dtype=np.int32)
    for number, top in enumerate(sorted(level), start=1):
        reached = [top]
        for pixel in reached:
            seeds[pixel] = number
            reached += [q for q in beside[pixel] if height[q] > level[group[hill[q]]] and q not in reached]
    return seeds


def slow_neighbours(mask):
    """Of each pixel of a mask those of its neighbours, and it itself, that lie in the mask."""
    pixels = [(int(y), int(x)) for y, x in np.argwhere(mask)]
    return {(y, x): [(v, u) for v, u in pixels if abs(v - y) <= 1 and abs(u - x) <= 1] for y, x in pixels}


def slow_climb(pixel, beside, height):
    while (higher := max(beside[pixel], key=lambda q: (height[q], q))) != pixel:
        pixel = higher
    return pixel


def slow_saddles(hill, beside, height):
    """The highest pass between each two hills that meet."""
    saddles = {}
    for p, around in beside.items():
        for q in around:
            if (pair := (hill[p], hill[q]))[0] < pair[1]:
                saddles[pair] = max(saddles.get(pair, 0.0), min(height[p], height[q]))
    return saddles


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.3, 0.6, 0.9]),
    st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    st.booleans(),
)
def test_the_seeds_are_those_found_pixel_by_pixel(shape, seed, share, merge_ratio, blobs):
    values = np.random.default_rng(seed).random(shape)
    if blobs:
        values = cv2.GaussianBlur(values, (0, 0), 1.5).reshape(shape)
        share = np.quantile(values, share)
    mask = values < share
    if not mask.all():
        expected = slow_seeds(mask, merge_ratio)
        np.testing.assert_array_equal(seeds_from_distance(mask, merge_ratio=merge_ratio), expected)
