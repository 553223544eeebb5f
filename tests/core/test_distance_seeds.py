"""One seed for each roundish part of a mask."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from monolayer_core.distance_seeds import seeds_from_distance


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
