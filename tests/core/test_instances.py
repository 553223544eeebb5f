"""Masks and seeds from probabilities; labels kept in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.morphology import remove_small_holes

from monolayer_core.instances import (
    above,
    drop_border,
    drop_faint,
    drop_small,
    fill_holes,
    foreground_mask,
    relabel,
    remove_small,
    seeds_from_map,
)
from monolayer_core.row_runs import find_row_runs

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
label_images = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 0, 1, 2, 5, 9])
)


def drawing(*rows):
    """A mask from rows of text, '#' for foreground."""
    return np.array([[character == "#" for character in row] for row in rows])


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.0, [0, 1, 1, 1]), (1 / 255, [0, 0, 1, 1]), (0.5, [0, 0, 1, 1]), (128 / 255, [0, 0, 0, 1]), (1.0, [0, 0, 0, 0])],
)
def test_a_probability_equal_to_the_threshold_is_not_above_it(threshold, expected):
    probabilities = np.array([[0, 1, 128, 255]], dtype=np.uint8)
    assert above(probabilities, threshold).astype(int).tolist() == [expected]


@given(st.integers(0, 255))
def test_every_probability_is_above_the_one_before_and_not_above_itself(value):
    probabilities = np.array([[value]], dtype=np.uint8)
    assert not above(probabilities, value / 255)
    if value:
        assert above(probabilities, (value - 1) / 255)


def test_small_holes_are_filled_and_large_ones_stay():
    ring = drawing(
        "########",
        "#.##...#",
        "####...#",
        "########",
    )
    assert fill_holes(ring, 1).sum() == ring.sum() + 1
    assert fill_holes(ring, 5).sum() == ring.sum() + 1
    assert fill_holes(ring, 6).all()
    assert fill_holes(ring, 0) is ring


def test_a_bay_at_the_edge_of_the_image_is_no_hole():
    bay = drawing(
        "###",
        "#.#",
        "#.#",
    )
    assert not fill_holes(bay, 100)[1:, 1].any()


def test_a_hole_does_not_leak_through_a_corner():
    ring = drawing(
        "#####",
        "#.###",
        "##..#",
        "#####",
    )
    assert fill_holes(ring, 1)[1, 1]
    assert not fill_holes(ring, 1)[2, 2]


def test_an_island_in_a_hole_does_not_count_towards_its_area_and_stays():
    island = drawing(
        "#####",
        "#...#",
        "#.#.#",
        "#...#",
        "#####",
    )
    assert fill_holes(island, 8).all()
    assert fill_holes(island, 7).sum() == island.sum()


@given(masks, st.integers(1, 20))
def test_holes_are_those_of_scikit_image_but_for_the_edge(mask, area):
    # scikit-image fills pieces of background at the edge too: a frame of background around makes them one large piece.
    framed = np.pad(mask, 30)
    expected = remove_small_holes(framed, max_size=area, connectivity=1)[30:-30, 30:-30]
    np.testing.assert_array_equal(fill_holes(mask, area), expected)


def test_the_foreground_is_cut_and_filled():
    foreground = np.full((3, 3), 200, dtype=np.uint8)
    foreground[1, 1] = 10
    assert foreground_mask(foreground, threshold=0.5, max_hole_area_px=1).all()
    assert not foreground_mask(foreground, threshold=0.5)[1, 1]
    assert not foreground_mask(foreground, threshold=0.8, max_hole_area_px=1)[0, 0]


def test_seeds_are_pieces_of_the_mask_where_the_map_is_high():
    seed_map = np.array([[200, 10, 200, 200, 200]], dtype=np.uint8)
    mask = np.array([[True, True, True, False, True]])
    np.testing.assert_array_equal(seeds_from_map(seed_map, mask, 0.5), [[1, 0, 2, 0, 3]])


def test_seeds_that_touch_at_a_corner_are_one():
    seed_map = np.array([[255, 0], [0, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(seeds_from_map(seed_map, np.ones((2, 2), dtype=bool), 0.5), [[1, 0], [0, 1]])


def test_specks_beside_a_seed_start_no_object_of_their_own():
    seed_map = np.array([[200, 200, 0, 200, 0, 200, 200, 200]], dtype=np.uint8)
    mask = np.ones((1, 8), dtype=bool)
    np.testing.assert_array_equal(seeds_from_map(seed_map, mask, 0.5, min_area_px=2), [[1, 1, 0, 0, 0, 2, 2, 2]])


@given(label_images)
def test_labels_are_numbered_by_their_first_pixels(labels):
    numbered = relabel(labels)
    _, first = np.unique(numbered[numbered > 0], return_index=True)
    assert numbered.dtype == np.int32
    assert set(np.unique(numbered)) - {0} == set(range(1, numbered.max() + 1))
    assert (np.diff(first) > 0).all()
    pairs = set(zip(labels.ravel().tolist(), numbered.ravel().tolist(), strict=True))
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
    assert {(old == 0, new == 0) for old, new in pairs} <= {(True, True), (False, False)}


def test_objects_of_a_low_mean_probability_are_removed():
    labels = np.array([[1, 1, 0, 2, 2], [3, 3, 0, 0, 0]], dtype=np.int32)
    foreground = np.array([[255, 204, 0, 255, 102], [204, 204, 255, 0, 0]], dtype=np.uint8)  # means 0.9, 0.7, 0.8
    runs = find_row_runs(labels)
    np.testing.assert_array_equal(drop_faint(runs, foreground, 0.8).paint(), [[1, 1, 0, 0, 0], [2, 2, 0, 0, 0]])
    np.testing.assert_array_equal(drop_faint(runs, foreground, 0.0).paint(), labels)


def test_objects_smaller_than_the_limit_are_removed():
    labels = np.array([[3, 3, 0, 1], [0, 0, 0, 1], [2, 0, 0, 1]], dtype=np.int32)
    np.testing.assert_array_equal(remove_small(labels, 3), [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]])
    np.testing.assert_array_equal(remove_small(labels, 2), [[1, 1, 0, 2], [0, 0, 0, 2], [0, 0, 0, 2]])
    np.testing.assert_array_equal(remove_small(labels, 0), relabel(labels))


def test_objects_at_any_edge_are_removed():
    labels = np.array([[0, 1, 0, 0, 0], [2, 0, 5, 0, 0], [0, 0, 5, 0, 3], [0, 4, 0, 0, 0]], dtype=np.int32)
    expected = np.zeros((4, 5), dtype=np.int32)
    expected[1:3, 2] = 1
    np.testing.assert_array_equal(drop_border(find_row_runs(labels)).paint(), expected)


@pytest.mark.parametrize("drop", [drop_border, lambda runs: drop_small(runs, 5)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (4, 6)])
def test_an_image_without_objects_stays_empty(drop, shape):
    assert not drop(find_row_runs(np.zeros(shape, dtype=np.int32))).paint().any()
