"""Masks and label images as they lie in files, to one label image."""

import doctest

import numpy as np
import pytest

from monolayer_core import truth
from monolayer_core.errors import UnusableImageError
from monolayer_core.truth import mask_from_pixels, merge_masks, number_consecutively, numbers_from_pixels


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(truth).failed == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([[0, 1]], [[False, True]], id="0 and 1"),
        pytest.param([[0, 255]], [[False, True]], id="0 and 255"),
        pytest.param([[0, 65535]], [[False, True]], id="0 and 65535"),
        pytest.param([[2, 120, 140, 255]], [[False, False, True, True]], id="smeared by JPEG"),
        pytest.param([[0, 0]], [[False, False]], id="empty"),
        pytest.param([[[0, 0, 0], [0, 255, 0]]], [[False, True]], id="coloured"),
    ],
)
def test_a_mask_is_foreground_where_it_is_bright(values, expected):
    assert mask_from_pixels(np.array(values)).tolist() == expected


def test_a_label_image_is_no_mask():
    with pytest.raises(UnusableImageError, match="label image"):
        mask_from_pixels(np.array([[0, 1, 2]]))


def test_numbers_come_from_integers_whole_floats_and_grey_rgb():
    assert numbers_from_pixels(np.array([[0, 7]], dtype=np.uint16)).tolist() == [[0, 7]]
    assert numbers_from_pixels(np.array([[0.0, 7.0]])).dtype == np.int64
    assert numbers_from_pixels(np.array([[[3, 3, 3]]])).tolist() == [[3]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param([[0.5]], "fractions", id="fractions"),
        pytest.param([[-1]], "negative", id="negative"),
        pytest.param([[[1, 2, 3]]], "coloured", id="coloured"),
    ],
)
def test_what_is_no_label_image_is_refused(values, message):
    with pytest.raises(UnusableImageError, match=message):
        numbers_from_pixels(np.array(values))


def test_the_smaller_object_keeps_a_shared_pixel():
    large, small = np.array([[True, True, True]]), np.array([[False, True, False]])
    assert merge_masks([small, large], 1, 3).tolist() == [[1, 2, 1]]
    assert merge_masks([large, small], 1, 3).tolist() == [[1, 2, 1]]


def test_empty_and_covered_masks_get_no_number():
    empty, one = np.zeros((1, 2), dtype=bool), np.array([[True, False]])
    assert merge_masks([one, empty, one], 1, 2).tolist() == [[1, 0]]
    assert merge_masks([], 1, 2).tolist() == [[0, 0]]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(UnusableImageError, match=r"\(1, 2\), its image \(1, 3\)"):
        merge_masks([np.ones((1, 2), dtype=bool)], 1, 3)


@pytest.mark.parametrize("wide", [700, 10**9], ids=["small gaps", "wide gaps"])
def test_numbers_become_consecutive_in_their_order(wide):
    assert number_consecutively(np.array([[wide, 0, 5], [5, wide, 6]])).tolist() == [[3, 0, 1], [1, 3, 2]]
    assert number_consecutively(np.array([[wide, 5]])).tolist() == [[2, 1]]
