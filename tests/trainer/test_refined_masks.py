"""Ellipses refined by colour follow what can be seen, and stay where nothing can."""

import cv2
import numpy as np
import pytest

from monolayer_core.boxes import as_boxes, box_iou
from monolayer_core.measure import measure
from monolayer_trainer.readers.ellipses import draw_ellipses
from monolayer_trainer.readers.refined_masks import draw_refined

GROUND, RED, PALE, DARK = (180, 218, 190), (200, 90, 130), (205, 190, 205), (80, 60, 140)


def paint(height: int, width: int, *cells: tuple[np.ndarray, tuple[int, int, int]]) -> np.ndarray:
    image = np.full((height, width, 3), GROUND, np.uint8)
    for mask, colour in cells:
        image[mask] = colour
    return image


def disc(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.hypot(rows - y, columns - x) <= radius


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_a_leaning_cell_is_followed_better_than_by_its_ellipse():
    rows, columns = np.mgrid[:80, :80] + 0.5
    along, across = (rows - 40 + columns - 40) / np.sqrt(2), (rows - columns) / np.sqrt(2)
    cell = (along / 30) ** 2 + (across / 18) ** 2 <= 1
    box = as_boxes(measure(cell.astype(np.int32)).bbox_px)
    refined, ellipse = draw_refined(paint(80, 80, (cell, RED)), box) > 0, draw_ellipses(box, 80, 80) > 0
    assert iou(ellipse, cell) < 0.85
    assert iou(refined, cell) > 0.93


def test_the_pale_middle_of_a_red_cell_belongs_to_it():
    cell, middle = disc(60, 60, 30, 30, 22), disc(60, 60, 30, 30, 9)
    refined = draw_refined(paint(60, 60, (cell, RED), (middle, GROUND)), np.array([[8.0, 8, 52, 52]]))
    assert iou(refined > 0, cell) > 0.95


def test_the_pale_rim_of_a_white_cell_belongs_to_it_though_its_nucleus_is_dark():
    cell, nucleus = disc(90, 90, 45, 45, 36), disc(90, 90, 40, 50, 18)
    refined = draw_refined(paint(90, 90, (cell, PALE), (nucleus, DARK)), np.array([[9.0, 9, 81, 81]]))
    assert iou(refined > 0, cell) > 0.95


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_what_cannot_be_seen_keeps_its_ellipse(grey: bool):
    image = paint(60, 60)[..., 0] if grey else paint(60, 60)
    box = np.array([[10.0, 12, 40, 44]])
    np.testing.assert_array_equal(draw_refined(image, box), draw_ellipses(box, 60, 60))


def test_without_ground_ellipses_stay():
    box = np.array([[-40.0, -40, 60, 60]])
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    np.testing.assert_array_equal(draw_refined(image, box), np.ones((20, 20)))


def test_a_cell_cut_by_the_border_reaches_it():
    cell = disc(60, 60, 2, 30, 20)
    box = np.array([[0.0, 10, 22, 50]])
    refined = draw_refined(paint(60, 60, (cell, RED), (disc(60, 60, 0, 30, 6), GROUND)), box)
    assert iou(refined > 0, cell) > 0.93
    assert refined[0, 26:34].all(), "the pale middle is cut by the border, too"


def test_a_neighbour_without_a_box_is_left_out_and_one_with_a_box_keeps_its_half():
    first, second = disc(70, 110, 35, 30, 20), disc(70, 110, 35, 60, 20)
    image = paint(70, 110, (first, RED), (second, RED))
    labels = draw_refined(image, np.array([[15.0, 10, 55, 50], [15, 40, 55, 80]]))
    assert labels[35, 12:44].tolist() == [1] * 32
    assert labels[35, 46:78].tolist() == [2] * 32
    bounds = as_boxes(measure(labels).bbox_px)
    assert box_iou(bounds, np.array([[15.0, 10, 55, 50], [15, 40, 55, 80]])).diagonal().min() > 0.8


def test_an_object_is_in_one_piece():
    """A second cell lies across the middle of the first and would leave it in two."""
    tall = np.array([[5.0, 30, 75, 50]])
    wide = np.array([[35.0, 5, 45, 75]])
    labels = draw_refined(paint(80, 80), np.concatenate([tall, wide]))
    for number in (1, 2):
        assert cv2.connectedComponents((labels == number).astype(np.uint8), connectivity=4)[0] == 2
