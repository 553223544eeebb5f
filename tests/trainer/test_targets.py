"""What the network is to answer, on label images one can check by eye and against an obvious slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monolayer_core.model_card import Output
from monolayer_trainer.targets import TargetSpec, edge_distance, make_targets, normalized_distance, outputs

NUCLEI = TargetSpec(classes=("nucleus",))
label_images = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))


def test_boundary_runs_two_pixels_deep_on_both_sides_of_a_contact():
    labels = np.array([[1, 1, 1, 1, 2, 2, 2, 2]] * 3, np.int32)
    class_index, _ = make_targets(labels, np.array([0, 0]), NUCLEI)
    np.testing.assert_array_equal(class_index, [[1, 1, 2, 2, 2, 2, 1, 1]] * 3)


def test_objects_two_pixels_apart_have_a_boundary_and_the_gap_stays_background():
    labels = np.array([[1, 1, 1, 0, 2, 2, 2], [1, 1, 1, 0, 2, 2, 2]], np.int32)
    class_index, _ = make_targets(labels, np.array([0, 0]), NUCLEI)
    np.testing.assert_array_equal(class_index, [[1, 1, 2, 0, 2, 1, 1]] * 2)


def test_objects_three_pixels_apart_do_not_touch():
    labels = np.array([[1, 0, 0, 2]], np.int32)
    assert 2 in make_targets(labels[:, [0, 1, 3]], np.array([0, 0]), NUCLEI)[0]
    assert 2 not in make_targets(labels, np.array([0, 0]), NUCLEI)[0]


def test_classes_are_those_of_the_objects_and_the_boundary_comes_last():
    spec = TargetSpec(classes=("rbc", "wbc"))
    labels = np.array([[1, 0, 0, 2, 0, 0, 3, 4]], np.int32)
    class_index, _ = make_targets(labels, np.array([0, 1, 0, 1]), spec)
    np.testing.assert_array_equal(class_index, [[1, 0, 0, 2, 0, 0, 3, 3]])


def test_semantic_targets_have_no_boundary_and_no_distance():
    spec = TargetSpec(kind="semantic", classes=("a", "b"), distance=False)
    class_index, distance = make_targets(np.array([[1, 2, 0]], np.int32), np.array([0, 1]), spec)
    np.testing.assert_array_equal(class_index, [[1, 2, 0]])
    assert not distance.any()


def test_a_semantic_target_with_distance_is_refused():
    with pytest.raises(ValueError, match="no objects and therefore no distance"):
        TargetSpec(kind="semantic", classes=("a",))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (NUCLEI, [("nucleus", "class"), ("boundary", "boundary"), ("distance", "distance")]),
        (TargetSpec(classes=("a", "b"), distance=False), [("a", "class"), ("b", "class"), ("boundary", "boundary")]),
        (TargetSpec(kind="semantic", classes=("a",), distance=False), [("a", "class")]),
    ],
    ids=["instances", "without distance", "semantic"],
)
def test_outputs_stand_in_the_order_of_the_card(spec: TargetSpec, expected: list[tuple[str, str]]):
    assert outputs(spec) == tuple(Output(name=name, role=role) for name, role in expected)


def test_distance_rises_from_the_edge_to_one_in_the_middle():
    labels = np.zeros((7, 7), np.int32)
    labels[1:6, 1:6] = 1
    third, two_thirds = 1 / 3, 2 / 3
    expected = [
        [third, third, third, third, third],
        [third, two_thirds, two_thirds, two_thirds, third],
        [third, two_thirds, 1, two_thirds, third],
        [third, two_thirds, two_thirds, two_thirds, third],
        [third, third, third, third, third],
    ]
    np.testing.assert_allclose(normalized_distance(labels)[1:6, 1:6], expected, atol=1e-6)


def test_a_touching_neighbour_is_an_edge_like_background():
    touching = np.array([[0, 1, 1, 1, 2, 2, 2, 0]], np.int32)
    apart = np.array([[0, 1, 1, 1, 0, 2, 2, 2, 0]], np.int32)
    np.testing.assert_allclose(normalized_distance(touching)[0, 1:7], [0.5, 1, 0.5, 0.5, 1, 0.5])
    np.testing.assert_allclose(normalized_distance(apart)[0, [1, 2, 3, 5, 6, 7]], [0.5, 1, 0.5, 0.5, 1, 0.5])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.zeros((2, 3), np.int32), 0.0),
        (np.ones((2, 3), np.int32), 1.0),
        (np.ones((1, 1), np.int32), 1.0),
    ],
    ids=["no object", "one object fills the image", "one pixel"],
)
def test_degenerate_distances(labels: np.ndarray, expected: float):
    np.testing.assert_array_equal(normalized_distance(labels), np.full(labels.shape, expected))


@settings(max_examples=60, deadline=None)
@given(label_images)
def test_boundary_equals_the_slow_definition(labels: np.ndarray):
    expected = np.zeros(labels.shape, np.uint8)
    for y, x in np.argwhere(labels > 0):
        window = labels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        expected[y, x] = 2 if len(set(window[window > 0].tolist())) > 1 else 1
    np.testing.assert_array_equal(make_targets(labels, np.zeros(3, int), NUCLEI)[0], expected)


@settings(max_examples=100, deadline=None)
@given(label_images)
def test_distance_equals_the_slow_definition_up_to_its_written_error(labels: np.ndarray):
    """OpenCV's 5 x 5 mask is within 3 % of the Euclidean distance; contacts at a slant add up to 0.6 pixels."""
    distance = edge_distance(labels)
    for y, x in np.ndindex(labels.shape):
        outside = np.argwhere(labels != labels[y, x])
        if labels[y, x] == 0:
            assert distance[y, x] == 0
        elif len(outside):
            exact = np.hypot(*(outside - (y, x)).T).min()
            assert 0.97 * exact <= distance[y, x] <= 1.03 * exact + 0.6


@settings(max_examples=50, deadline=None)
@given(label_images)
def test_every_object_has_a_pixel_of_distance_one(labels: np.ndarray):
    distance = normalized_distance(labels)
    assert ((distance > 0) == (labels > 0)).all()
    for number in np.unique(labels[labels > 0]):
        assert distance[labels == number].max() == 1
