"""Every pixel of the mask goes to one seed of its own component, and every instance is connected."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label
from skimage.segmentation import watershed

from monolayer_core import splitting
from monolayer_core.splitting import split_by_seeds


def connected(mask):
    return label(mask, connectivity=2, return_num=True)[1] <= 1


def seeds_at(shape, *points):
    seeds = np.zeros(shape, dtype=np.int32)
    for number, (y, x) in enumerate(points, start=1):
        seeds[y, x] = number
    return seeds


@st.composite
def masks_with_seeds(draw, most=24):
    shape = draw(st.tuples(st.integers(1, most), st.integers(1, most)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random(shape) < draw(st.sampled_from([0.4, 0.6, 0.8, 0.97]))
    found = rng.random(shape) < draw(st.sampled_from([0.0, 0.01, 0.05, 0.3]))
    seeds = label(found & mask, connectivity=2).astype(np.int32)
    if draw(st.booleans()):  # seeds that reach outside the mask and ones that lie there
        outside = label(found, connectivity=2).astype(np.int32)
        pieces = label(np.where(mask, outside, 0), connectivity=2, return_num=True)[1]
        if pieces == np.unique(outside[mask & (outside > 0)]).size:
            seeds = outside
    return mask, seeds


def check_is_a_split(labels, mask, seeds):
    np.testing.assert_array_equal(labels > 0, mask)
    components = label(mask, connectivity=2)
    for number in np.unique(labels[mask]):
        assert connected(labels == number)
        within = np.unique(seeds[(labels == number) & (seeds > 0)])
        assert within.tolist() == ([number] if number <= seeds.max() else [])
    is_seed = (seeds > 0) & mask
    np.testing.assert_array_equal(labels[is_seed], seeds[is_seed])
    for number in np.unique(labels[labels > seeds.max()]):
        np.testing.assert_array_equal(labels == number, components == components[labels == number][0])


@given(masks_with_seeds())
def test_any_mask_and_seeds_are_split(case):
    mask, seeds = case
    before = mask.copy(), seeds.copy()
    labels = split_by_seeds(mask, seeds)
    assert labels.dtype == np.int32
    check_is_a_split(labels, mask, seeds)
    np.testing.assert_array_equal(labels, split_by_seeds(mask, seeds))
    np.testing.assert_array_equal(mask, before[0])
    np.testing.assert_array_equal(seeds, before[1])


@given(masks_with_seeds())
def test_pieces_far_from_every_instance_are_handed_over_whole(case):
    mask, seeds = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "_MAX_STEPS", 1)
        check_is_a_split(split_by_seeds(mask, seeds), mask, seeds)


def test_two_cells_separated_by_a_gap_of_one_pixel_never_mix():
    mask = np.ones((21, 41), dtype=bool)
    mask[:, 20] = False
    # One seed of the right cell lies at the gap, that of the left cell far from it: by straight lines half of the left
    # cell is nearer to the right one.
    labels = split_by_seeds(mask, seeds_at(mask.shape, (10, 0), (10, 21), (10, 40)))
    assert (labels[:, :20] == 1).all()
    assert set(np.unique(labels[:, 21:])) == {2, 3}


def test_two_pairs_of_cells_separated_by_a_gap_are_split_each_on_its_own():
    mask = np.ones((21, 41), dtype=bool)
    mask[:, 20] = False
    seeds = seeds_at(mask.shape, (0, 0), (20, 0), (0, 21), (20, 21))
    labels = split_by_seeds(mask, seeds)
    check_is_a_split(labels, mask, seeds)
    assert set(np.unique(labels[:, :20])) == {1, 2}
    assert set(np.unique(labels[:, 21:])) == {3, 4}
    assert (labels[:10, :20] == 1).all()
    assert (labels[11:, :20] == 2).all()


def test_the_arm_of_a_u_shaped_cell_is_not_cut_off_by_a_neighbour():
    mask = np.zeros((30, 30), dtype=bool)
    mask[0:30, 0:4] = mask[26:30, 0:20] = mask[0:30, 16:20] = True  # a U of three pixels' width and more
    mask[0:6, 20:30] = True  # a neighbour at the end of the right arm
    seeds = seeds_at(mask.shape, (28, 8), (2, 28))
    labels = split_by_seeds(mask, seeds)
    check_is_a_split(labels, mask, seeds)
    assert (labels[:30, :4] == 1).all()
    assert labels[20, 17] == 1


def test_pixels_nearest_to_a_seed_around_the_bend_go_to_the_instance_beside_them():
    mask = np.ones((5, 30), dtype=bool)
    mask[2, :28] = False  # a hairpin: two strips joined at the right
    seeds = seeds_at(mask.shape, (0, 2), (4, 25))
    labels = split_by_seeds(mask, seeds)
    check_is_a_split(labels, mask, seeds)
    assert labels[4, 2] == 2  # below seed 1 in a straight line, but far from it within the cell


def test_components_without_a_seed_become_objects_numbered_last():
    mask = np.array([[1, 1, 0, 1, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(split_by_seeds(mask, seeds_at((1, 6), (0, 3))), [[2, 2, 0, 1, 0, 3]])


def test_a_component_with_a_single_seed_is_one_object():
    mask = np.array([[1, 1, 1], [0, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(split_by_seeds(mask, seeds_at((2, 3), (0, 0))), [[1, 1, 1], [0, 0, 1]])


def test_seeds_that_touch_keep_their_pixels():
    mask = np.ones((3, 4), dtype=bool)
    seeds = np.array([[1, 2, 0, 0], [1, 2, 0, 0], [1, 2, 0, 0]], dtype=np.int32)
    np.testing.assert_array_equal(split_by_seeds(mask, seeds), [[1, 2, 2, 2]] * 3)


def spiral(size):
    """A path one pixel wide that winds inward, two pixels from turn to turn, and its pixels in order."""
    path, (y, x), (dy, dx) = [(0, 0)], (0, 0), (0, 1)
    lengths = [size - 1] + [n for n in range(size - 1, 1, -2) for _ in range(2)]
    for length in lengths:
        for _ in range(length):
            y, x = y + dy, x + dx
            path.append((y, x))
        dy, dx = dx, -dy
    mask = np.zeros((size, size), dtype=bool)
    mask[tuple(np.transpose(path))] = True
    return mask, path


def test_a_spiral_is_cut_once_however_often_straight_lines_cross_it():
    mask, path = spiral(101)
    labels = split_by_seeds(mask, seeds_at(mask.shape, path[0], path[-1]))
    along = [labels[pixel] for pixel in path]
    assert (labels > 0).sum() == mask.sum() == len(path)
    assert along == sorted(along)
    assert set(along) == {1, 2}


def test_mirrored_arrays_are_taken_as_they_are():
    mask = np.ones((4, 9), dtype=bool)
    seeds = seeds_at(mask.shape, (0, 0), (0, 8))
    expected = split_by_seeds(np.ascontiguousarray(mask[:, ::-1]), np.ascontiguousarray(seeds[:, ::-1]))
    np.testing.assert_array_equal(split_by_seeds(mask[:, ::-1], seeds[:, ::-1]), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1)])
@pytest.mark.parametrize("filled", [False, True])
def test_degenerate_images_are_split(shape, filled):
    mask = np.full(shape, filled)
    np.testing.assert_array_equal(split_by_seeds(mask, np.zeros(shape, dtype=np.int32)), mask.astype(int))


def test_blobs_are_split_as_by_a_watershed():
    rng = np.random.default_rng(7)
    image = np.zeros((400, 400), dtype=np.uint8)
    seeds = np.zeros((400, 400), dtype=np.int32)
    for number, node in enumerate(np.argwhere(np.ones((10, 10))) * 40 + 20, start=1):
        y, x = (node + rng.integers(-6, 7, 2)).tolist()
        cv2.circle(image, (x, y), int(rng.integers(18, 22)), 1, -1)
        cv2.circle(seeds, (x, y), 8, number, -1)
    mask = image.astype(bool)
    labels = split_by_seeds(mask, seeds)
    check_is_a_split(labels, mask, seeds)
    expected = watershed(-cv2.distanceTransform(image, cv2.DIST_L2, 5), seeds, mask=mask)
    assert (labels == expected)[mask].mean() >= 0.99
