import doctest
import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_core import overlay
from monolayer_core.normalization import normalize
from monolayer_core.overlay import CLASS_COLOURS, OverlaidRows, draw_overlay, outlines
from monolayer_core.row_runs import find_row_runs
from monolayer_core.row_source import ArrayRows

label_images = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 3)
)


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(overlay).failed == 0


@settings(deadline=None)
@given(label_images)
def test_an_outline_is_where_a_neighbour_differs(labels):
    height, width = labels.shape
    expected = np.zeros(labels.shape, dtype=bool)
    for y, x in np.argwhere(labels):
        neighbours = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [(v, u) for v, u in neighbours if 0 <= v < height and 0 <= u < width]
        expected[y, x] = any(labels[place] != labels[y, x] for place in inside)
    np.testing.assert_array_equal(outlines(labels), expected)


@settings(deadline=None)
@given(label_images)
def test_pixels_off_the_outlines_are_left_as_they_are(labels):
    image = np.arange(labels.size, dtype=np.uint8).reshape(labels.shape)
    drawn = draw_overlay(image, labels)
    untouched = ~outlines(labels)
    np.testing.assert_array_equal(drawn[untouched], np.repeat(image[untouched][:, None], 3, axis=1))


def test_touching_objects_are_told_apart_by_their_colours():
    labels = np.repeat(np.array([[1, 1, 2, 2]], dtype=np.int32), 4, axis=0)
    drawn = draw_overlay(np.zeros((4, 4), dtype=np.uint8), labels)
    assert drawn[0, 0].tolist() == [0, 0, 0]
    assert drawn[0, 1].tolist() != drawn[0, 2].tolist()
    assert drawn[:, 1:3].max(axis=2).min() == 255


def test_a_label_has_the_same_colour_in_every_image():
    few = np.array([[0, 3, 0]], dtype=np.int32)
    many = np.array([[0, 3, 0, 900, 0]], dtype=np.int32)
    colour = draw_overlay(np.zeros((1, 3), dtype=np.uint8), few)[0, 1]
    assert draw_overlay(np.zeros((1, 5), dtype=np.uint8), many)[0, 1].tolist() == colour.tolist()


def test_classes_have_their_colours_whatever_the_label():
    labels = np.array([[0, 1, 0, 2, 0, 3, 0, 4, 0]], dtype=np.int32)
    drawn = draw_overlay(np.zeros((1, 9), dtype=np.uint8), labels, class_ids=np.array([0, 1, 0, len(CLASS_COLOURS)]))
    assert [tuple(drawn[0, x].tolist()) for x in (1, 3, 5, 7)] == [CLASS_COLOURS[i] for i in (0, 1, 0, 0)]


CONES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""How linear RGB looks without one kind of cone: Machado, Oliveira, Fernandes (2009), doi:10.1109/TVCG.2009.113."""


@pytest.mark.parametrize("cones", CONES)
def test_colours_of_classes_are_told_apart_with_any_eyes_and_on_black(cones):
    values = np.array([*CLASS_COLOURS, (0, 0, 0)]) / 255
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    seen = np.clip(linear @ np.array(CONES[cones]).T, 0, 1)
    shown = np.where(seen > 0.0031308, 1.055 * seen ** (1 / 2.4) - 0.055, 12.92 * seen).astype(np.float32)
    lab = cv2.cvtColor(shown[np.newaxis], cv2.COLOR_RGB2LAB)[0]
    differences = [np.linalg.norm(one - other) for one, other in itertools.combinations(lab, 2)]
    assert min(differences) > 40


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 3)])
def test_the_picture_itself_is_not_drawn_on(shape):
    image = np.full(shape, 50, dtype=np.uint8)
    labels = np.zeros((6, 7), dtype=np.int32)
    labels[2:4, 2:5] = 1
    drawn = draw_overlay(image, labels)
    assert drawn.shape == (6, 7, 3)
    assert (image == 50).all()
    assert (drawn != 50).any(axis=2).sum() == 6


def test_no_objects_means_no_outlines():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(draw_overlay(image, np.zeros((3, 4), np.int32)), np.stack([image] * 3, axis=2))
    assert draw_overlay(image[:1, :1], np.ones((1, 1), np.int32), class_ids=np.array([0])).shape == (1, 1, 3)


@given(
    label_images,
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.sampled_from([(), (3,)]),
    st.integers(1, 9),
    st.sampled_from([None, np.array([1, 0, 2])]),
)
def test_drawn_by_rows_the_picture_is_the_same(labels, dtype, channels, band_rows, class_ids):
    image = np.random.default_rng(0).integers(0, 200, (*labels.shape, *channels)).astype(dtype)
    picture = OverlaidRows(ArrayRows(image), find_row_runs(labels), class_ids=class_ids)
    height = len(labels)
    drawn = [picture.read(slice(top, min(top + band_rows, height))) for top in range(0, height, band_rows)]
    np.testing.assert_array_equal(np.concatenate(drawn), draw_overlay(normalize(image), labels, class_ids=class_ids))
    assert (picture.height, picture.width, picture.channels, picture.dtype) == (*labels.shape, 3, np.uint8)
