"""Horizontal runs describe a label image completely."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_core.row_runs import find_piece_runs, find_row_runs

label_images = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.sampled_from([0, 1, 1, 2, 4])
)


@given(label_images)
def test_painting_the_runs_gives_the_image_back(labels):
    runs = find_row_runs(labels)
    painted = np.zeros_like(labels)
    for number, y, x, length in zip(runs.labels, runs.y, runs.x, runs.lengths, strict=True):
        assert (painted[y, x : x + length] == 0).all()
        painted[y, x : x + length] = number
    np.testing.assert_array_equal(painted, labels)


@given(label_images)
def test_runs_are_as_long_as_can_be_and_in_raster_order(labels):
    runs = find_row_runs(labels)
    starts = runs.y * runs.width + runs.x
    assert (np.diff(starts) > 0).all()
    ends_at_next = (starts[1:] == starts[:-1] + runs.lengths[:-1]) & (runs.y[1:] == runs.y[:-1])
    assert (runs.labels[1:] != runs.labels[:-1])[ends_at_next].all()


@given(label_images, st.sampled_from([np.uint8, np.uint16, np.int32, np.float64]))
def test_sums_and_areas_are_those_of_boolean_masks(labels, dtype):
    plane = np.arange(labels.size).reshape(labels.shape).astype(dtype)
    runs = find_row_runs(labels)
    numbers = range(1, labels.max() + 1)
    assert runs.areas_px.tolist() == [(labels == number).sum() for number in numbers]
    assert runs.sums(plane).tolist() == [plane[labels == number].sum() for number in numbers]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_sums_of_the_largest_values_are_exact(dtype):
    largest = np.iinfo(dtype).max
    runs = find_row_runs(np.ones((600, 900), dtype=np.int32))
    assert runs.sums(np.full((600, 900), largest, dtype=dtype)).tolist() == [600 * 900 * largest]


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=10)), st.sampled_from([4, 8]))
def test_runs_of_pieces_are_those_of_their_label_image(mask, connectivity):
    _, pieces = cv2.connectedComponents(mask.view(np.uint8), connectivity=connectivity)
    found, expected = find_piece_runs(mask, pieces), find_row_runs(pieces)
    assert found.count == expected.count
    for name in ("labels", "y", "x", "lengths"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@given(label_images)
def test_flat_pixels_are_those_that_are_not_background(labels):
    assert find_row_runs(labels).flat_pixels().tolist() == np.flatnonzero(labels).tolist()


@given(label_images, st.data())
def test_bands_of_rows_are_painted_as_they_were(labels, data):
    runs = find_row_runs(labels)
    np.testing.assert_array_equal(runs.paint(), labels)
    top = data.draw(st.integers(0, labels.shape[0]))
    bottom = data.draw(st.integers(top, labels.shape[0]))
    np.testing.assert_array_equal(runs.paint(slice(top, bottom)), labels[top:bottom])
    np.testing.assert_array_equal(runs.paint(slice(-1, labels.shape[0] + 1)), np.pad(labels, ((1, 1), (0, 0))))


@given(label_images)
def test_objects_at_the_edge_are_those_along_the_four_sides(labels):
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    assert (np.flatnonzero(find_row_runs(labels).at_edge) + 1).tolist() == edge[edge > 0].tolist()


@given(label_images, st.data())
def test_kept_objects_are_numbered_by_their_first_pixels_and_lie_where_they_lay(labels, data):
    runs = find_row_runs(labels)
    is_kept = np.array(data.draw(st.lists(st.booleans(), min_size=runs.count, max_size=runs.count)), dtype=np.bool_)
    expected, numbers = np.zeros_like(labels), {}
    for place in zip(*np.nonzero(labels), strict=True):
        if is_kept[labels[place] - 1]:
            expected[place] = numbers.setdefault(labels[place], len(numbers) + 1)
    kept = runs.keep(is_kept)
    np.testing.assert_array_equal(kept.paint(), expected)
    again = find_row_runs(expected)
    assert kept.count == again.count
    for mine, theirs in zip((kept.labels, kept.y, kept.x), (again.labels, again.y, again.x), strict=True):
        np.testing.assert_array_equal(mine, theirs)
