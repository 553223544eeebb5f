"""Filling outlines: the way back from tracing them, and the even-odd rule at the centres of pixels."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monolayer_core import ring_fill
from monolayer_core.pixel_edges import trace_pixel_edges
from monolayer_core.ring_fill import fill_rings, paint_objects
from monolayer_core.row_runs import find_row_runs

Corner = st.tuples(st.floats(-3, 12), st.floats(-3, 12))


def slow_fill(rings, height, width):
    """Count for every pixel the edges to the left of its centre."""
    inside = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            for ring in rings:
                for (y0, x0), (y1, x1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                    if (y0 <= y + 0.5) != (y1 <= y + 0.5):
                        inside[y, x] ^= x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0) <= x + 0.5
    return np.flatnonzero(inside)


def test_the_example_holds():
    assert doctest.testmod(ring_fill).failed == 0


@given(arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_traced_outlines_are_filled_with_the_pixels_they_were_traced_around(labels):
    runs = find_row_runs(labels)
    objects = [
        fill_rings([ring for polygon in polygons for ring in (polygon.outer, *polygon.holes)], *labels.shape)
        for polygons in trace_pixel_edges(runs)
    ]
    np.testing.assert_array_equal(paint_objects(objects, *labels.shape), labels)


@given(st.lists(st.lists(Corner, min_size=3, max_size=7), min_size=1, max_size=3))
def test_any_rings_fill_by_the_even_odd_rule(rings):
    rings = [np.array(ring) for ring in rings]
    np.testing.assert_array_equal(fill_rings(rings, 8, 10), slow_fill(rings, 8, 10))


def test_the_first_corner_may_be_repeated():
    ring = np.array([[0, 0], [0, 3], [2, 3], [2, 0]])
    closed = np.vstack([ring, ring[:1]])
    np.testing.assert_array_equal(fill_rings([closed], 5, 5), fill_rings([ring], 5, 5))


@pytest.mark.parametrize("rings", [[], [np.zeros((2, 2))], [np.full((4, 2), 2.0)]], ids=["none", "a line", "a point"])
def test_what_encloses_nothing_has_no_pixels(rings):
    assert fill_rings(rings, 5, 5).size == 0


def test_the_smaller_of_two_objects_keeps_the_pixel():
    large, small = np.arange(6), np.array([1, 2])
    for objects, numbers in (([large, small], [1, 2]), ([small, large], [2, 1])):
        painted = paint_objects(objects, 1, 6)
        assert painted.tolist() == [[numbers[0], numbers[1], numbers[1], *[numbers[0]] * 3]]
