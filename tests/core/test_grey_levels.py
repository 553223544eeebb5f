import numpy as np
import pytest

from monolayer_core.grey_levels import cluster_grey, count_grey

LEVELS = np.repeat(np.array([10, 12, 60, 200, 204], dtype=np.uint8), [50, 50, 10, 20, 10])[np.newaxis]


def test_pixels_get_the_cluster_of_their_level():
    labels, k = cluster_grey(LEVELS, count_grey(LEVELS), 3, "bright")
    assert k == 3
    assert labels.tolist() == [[0] * 100 + [1] * 10 + [2] * 30]


def test_the_ground_is_what_lies_opposite_to_the_foreground():
    grey = count_grey(LEVELS)
    assert grey.ground("bright")[:3] == [140, 110, 100]
    assert grey.ground("dark")[:3] == [140, 30, 30]


@pytest.mark.parametrize(("side", "expected"), [("bright", 3), ("dark", 2)])
def test_auto_adds_a_cluster_for_fainter_objects_but_none_that_divides_the_ground(side, expected):
    rng = np.random.default_rng(0)
    ground, faint, bright = rng.normal(20, 2, 9000), rng.normal(110, 5, 800), rng.normal(220, 5, 400)
    image = np.concatenate([ground, faint, bright]).clip(0, 255).astype(np.uint8)[np.newaxis]
    _, k = cluster_grey(image, count_grey(image), "auto", side)
    assert k == expected


def test_two_clusters_are_enough_where_they_explain_the_variance():
    image = np.array([[0, 1, 2, 200, 201]], dtype=np.uint8)
    assert cluster_grey(image, count_grey(image), "auto", "bright")[1] == 2


def test_a_ground_between_darker_and_brighter_parts_is_recognised():
    between = np.repeat(np.array([10, 100, 200], dtype=np.uint8), [10, 80, 10])[np.newaxis]
    assert count_grey(between).ground_lies_between()
    assert count_grey(255 - between).ground_lies_between()
    assert not count_grey(LEVELS).ground_lies_between()
    assert not count_grey(np.array([[1, 2]], dtype=np.uint8)).ground_lies_between()
