import numpy as np
import pytest

from monolayer_core import polygons
from monolayer_core.measure import measure
from monolayer_core.polygons import trace_polygons
from monolayer_core.row_runs import find_row_runs


def polygons_of(labels):
    image = np.array(labels, dtype=np.int32)
    return trace_polygons(find_row_runs(image), measure(image).bbox_px)


def test_a_rectangle_has_its_four_corners_in_y_x():
    assert polygons_of([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1]]) == [[[1, 1], [2, 1], [2, 3], [1, 3]]]


def test_a_single_pixel_is_a_single_vertex():
    assert polygons_of([[0, 0], [0, 1]]) == [[[1, 1]]]


def test_touching_objects_keep_their_own_outlines_in_label_order():
    assert polygons_of([[1, 1, 2, 2], [1, 1, 2, 2]]) == [
        [[0, 0], [1, 0], [1, 1], [0, 1]],
        [[0, 2], [1, 2], [1, 3], [0, 3]],
    ]


def test_holes_are_not_drawn():
    assert polygons_of([[1, 1, 1], [1, 0, 1], [1, 1, 1]]) == [[[0, 0], [2, 0], [2, 2], [0, 2]]]


def test_no_objects_have_no_polygons():
    assert polygons_of(np.zeros((3, 4), int)) == []


def test_filling_the_polygons_of_convex_objects_gives_the_objects_back():
    import cv2

    y, x = np.mgrid[:60, :80]
    labels = np.zeros((60, 80), np.int32)
    labels[(y - 20) ** 2 + (x - 25) ** 2 < 150] = 1
    labels[(y - 40) ** 2 + (x - 60) ** 2 < 200] = 2
    painted = np.zeros_like(labels)
    for label, polygon in enumerate(trace_polygons(find_row_runs(labels), measure(labels).bbox_px), start=1):
        cv2.fillPoly(painted, [np.array(polygon)[:, ::-1]], label)
    np.testing.assert_array_equal(painted, labels)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_painted_in_bands_the_polygons_are_the_same(rows, monkeypatch):
    labels = np.kron(np.random.default_rng(0).permutation(20).reshape(5, 4), np.ones((3, 4), dtype=int))
    expected = polygons_of(labels)
    monkeypatch.setattr(polygons, "BAND_PX", rows * labels.shape[1])
    assert polygons_of(labels) == expected
    assert len(expected) == 19
