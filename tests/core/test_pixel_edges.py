import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapely.geometry import MultiPolygon
from shapely.geometry import Polygon as Shape

from monolayer_core import pixel_edges
from monolayer_core.pixel_edges import trace_pixel_edges
from monolayer_core.row_runs import find_row_runs


def traced(labels):
    return list(trace_pixel_edges(find_row_runs(np.array(labels, dtype=np.int32))))


def shape_of(polygons):
    return MultiPolygon(
        [Shape(polygon.outer[:, ::-1], [hole[:, ::-1] for hole in polygon.holes]) for polygon in polygons]
    )


def filled(polygons, size):
    """Pixels whose centres lie inside: above each an odd number of edges that go across its column."""
    crossings = np.zeros((size[0] + 1, size[1]), dtype=int)
    for polygon in polygons:
        for ring in (polygon.outer, *polygon.holes):
            for (y, x), (end_y, end_x) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                assert (y == end_y) != (x == end_x)
                if y == end_y:
                    crossings[y, min(x, end_x) : max(x, end_x)] += 1
    return np.cumsum(crossings, axis=0)[:-1] % 2 == 1


def corners_of(labels):
    [[polygon]] = traced(labels)
    return polygon.outer.tolist(), [hole.tolist() for hole in polygon.holes]


def test_one_pixel_has_four_corners_and_the_first_is_the_topmost_leftmost():
    assert corners_of([[0, 0], [0, 1]]) == ([[1, 1], [1, 2], [2, 2], [2, 1]], [])


def test_a_hole_goes_round_the_other_way():
    assert corners_of([[1, 1, 1], [1, 0, 1], [1, 1, 1]]) == (
        [[0, 0], [0, 3], [3, 3], [3, 0]],
        [[[1, 1], [2, 1], [2, 2], [1, 2]]],
    )


def test_what_hangs_together_by_a_corner_is_two_polygons():
    [polygons] = traced([[1, 0], [0, 1]])
    assert [polygon.outer.tolist() for polygon in polygons] == [
        [[0, 0], [0, 1], [1, 1], [1, 0]],
        [[1, 1], [1, 2], [2, 2], [2, 1]],
    ]


def test_a_hole_that_reaches_the_outside_by_a_corner_stays_a_hole():
    outer, [hole] = corners_of([[1, 1, 0], [1, 0, 1], [1, 1, 1]])
    assert outer == [[0, 0], [0, 2], [1, 2], [1, 3], [3, 3], [3, 0]]
    assert hole == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_an_island_in_a_hole_is_a_polygon_of_the_same_object():
    ring = np.ones((5, 5), int)
    ring[1:4, 1:4] = 0
    ring[2, 2] = 1
    [polygons] = traced(ring)
    assert [(len(polygon.outer), len(polygon.holes)) for polygon in polygons] == [(4, 1), (4, 0)]


def test_labels_without_pixels_have_no_polygons_and_no_image_has_none():
    assert [len(polygons) for polygons in traced([[0, 3, 3, 1]])] == [1, 0, 1]
    assert traced(np.zeros((3, 4))) == []


@given(
    labels=arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)),
    runs_at_once=st.sampled_from([1, 5, 1 << 18]),
)
def test_outlines_are_valid_and_enclose_just_the_pixels(labels, runs_at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_edges, "_RUNS_AT_ONCE", runs_at_once)
        objects = traced(labels)
    assert len(objects) == labels.max()
    for label, polygons in enumerate(objects, start=1):
        mask = labels == label
        shape = shape_of(polygons)
        assert shape.is_valid
        assert shape.area == mask.sum()
        np.testing.assert_array_equal(filled(polygons, labels.shape), mask)
        assert len(polygons) == cv2.connectedComponents(mask.view(np.uint8), connectivity=4)[0] - 1
        for polygon in polygons:
            assert Shape(polygon.outer[:, ::-1]).exterior.is_ccw  # counterclockwise where y points up, as GeoJSON asks
            assert not any(Shape(hole[:, ::-1]).exterior.is_ccw for hole in polygon.holes)


def test_a_large_ragged_object_is_traced_exactly():
    mask = (np.random.default_rng(3).random((200, 300)) < 0.6).astype(np.int32)
    [polygons] = traced(mask)
    shape = shape_of(polygons)
    assert shape.is_valid
    assert shape.area == mask.sum()
    np.testing.assert_array_equal(filled(polygons, mask.shape), mask == 1)
