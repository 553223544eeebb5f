import numpy as np
import pytest

from monolayer_core.kmeans import KMeansOptions
from monolayer_core.robustness import inversion_change, invert, vignette, vignette_dice


def test_inversion_is_its_own_inverse():
    for pixels in (np.array([[0, 3, 255]], np.uint8), np.array([[-5, 7]], np.int16), np.array([[0.25, 1.5]])):
        assert (invert(invert(pixels)) == pixels).all()
    assert invert(np.array([[0, 255]], np.uint8)).tolist() == [[255, 0]]


def test_the_corner_of_a_vignette_has_a_third_of_the_light():
    dimmed = vignette(np.full((101, 201), 30000, np.uint16))
    assert (dimmed[50, 100], dimmed[0, 0], dimmed[-1, -1]) == (30000, 10000, 10000)
    assert vignette(np.full((3, 3, 3), 0.9)).dtype == np.float32


def test_without_a_vignette_or_an_inversion_that_matters_nothing_changes():
    halves = np.repeat(np.array([[10, 200]], np.uint8), 20, axis=0).repeat(20, axis=1)
    assert vignette_dice(halves, KMeansOptions(foreground="bright"), ratio=1.0) == 1.0
    assert inversion_change(halves, KMeansOptions(foreground="bright")) == pytest.approx(1.0)
