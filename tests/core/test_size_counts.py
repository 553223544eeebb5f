"""Objects counted by size, against counts done one object at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.size_counts import DIAMETER_EDGES_PX, SizeCounts, count_by_size, size_names


def squares(*sides_and_places: tuple[int, int]) -> np.ndarray:
    labels = np.zeros((100, 400), np.int32)
    for number, (side, x) in enumerate(sides_and_places, start=1):
        labels[:side, x : x + side] = number
    return labels


def test_each_object_is_counted_in_the_class_of_its_diameter():
    # A square of side a has the diameter 1.128 a: 6.8, 9.0, 33.9 and 90.3 pixels.
    truth = squares((6, 0), (8, 10), (30, 50), (80, 200))
    counts = count_by_size(truth, truth)
    assert [one.truth for one in counts] == [1, 1, 0, 1, 1]
    assert [one.found for one in counts] == [one.closely_found for one in counts] == [1, 1, 0, 1, 1]
    assert [one.prediction for one in counts] == [1, 1, 0, 1, 1]
    assert sum(one.invented for one in counts) == 0


def test_a_diameter_on_the_edge_belongs_to_the_larger_class(monkeypatch):
    monkeypatch.setattr("monolayer_core.size_counts.DIAMETER_EDGES_PX", (np.sqrt(4 * 36 / np.pi),))
    assert [one.truth for one in count_by_size(squares((6, 0)), squares())] == [0, 1]


def test_found_closely_found_missed_and_invented():
    truth = squares((10, 0), (10, 20), (10, 40))
    prediction = np.zeros_like(truth)
    prediction[:8, 0:10] = 1  # 80 of 100: closely found
    prediction[:6, 20:30] = 2  # 60 of 100: found
    prediction[:4, 40:50] = 3  # 40 of 100: missed, and itself an invention, of the diameter 7.1
    counts = dict(zip(size_names(), count_by_size(truth, prediction), strict=True))
    assert counts["8 to 16"] == SizeCounts(truth=3, found=2, closely_found=1, prediction=2, invented=0)
    assert counts["below 8"] == SizeCounts(prediction=1, invented=1)


def test_images_add_up():
    one = SizeCounts(truth=3, found=2, closely_found=1, prediction=4, invented=2)
    assert one + one == SizeCounts(truth=6, found=4, closely_found=2, prediction=8, invented=4)


def test_an_empty_image_has_no_objects_of_any_size():
    empty = np.zeros((5, 7), np.uint8)
    assert count_by_size(empty, empty) == (SizeCounts(),) * (len(DIAMETER_EDGES_PX) + 1)


def test_images_of_different_size_are_refused():
    with pytest.raises(ValueError, match="prediction"):
        count_by_size(np.zeros((4, 4), int), np.zeros((4, 5), int))


@given(st.integers(0, 2**32 - 1))
def test_the_counts_are_those_of_a_loop_over_the_objects(seed):
    random = np.random.default_rng(seed)
    truth, prediction = (np.kron(random.integers(0, 4, (6, 6)), np.ones((5, 5), int)) for _ in range(2))
    expected = [SizeCounts() for _ in size_names()]

    def place(mask: np.ndarray) -> int:
        diameter_px = 2 * np.sqrt(mask.sum() / np.pi)
        return sum(diameter_px >= edge for edge in DIAMETER_EDGES_PX)

    def best(mask: np.ndarray, others: np.ndarray) -> float:
        ious = [(mask & (others == n)).sum() / (mask | (others == n)).sum() for n in range(1, 4) if (others == n).any()]
        return max(ious, default=0.0)

    for number in range(1, 4):
        if (mask := truth == number).any():
            iou = best(mask, prediction)
            expected[place(mask)] += SizeCounts(truth=1, found=iou >= 0.5, closely_found=iou >= 0.75)
        if (mask := prediction == number).any():
            expected[place(mask)] += SizeCounts(prediction=1, invented=best(mask, truth) < 0.5)
    assert count_by_size(truth, prediction) == tuple(expected)
