import cv2
import numpy as np
import pytest

from monolayer_core.illumination import correct_illumination
from monolayer_core.normalization import correct_flat_field
from monolayer_core.robustness import vignette


def crowded(ground=20.0, cell=120.0, until=120):
    """Discs that crowd the columns before `until` of a field 260 wide."""
    cells = np.zeros((200, 260), dtype=np.uint8)
    for y in range(12, 200, 22):
        for x in range(12, until, 22):
            cv2.circle(cells, (x, y), 9, 1, -1)
    return np.where(cells == 1, cell, ground).astype(np.float32), cells == 1


@pytest.mark.parametrize(("ground", "cell"), [(20.0, 120.0), (200.0, 90.0)], ids=["bright cells", "dark cells"])
def test_a_vignette_is_taken_off(ground, cell):
    image, cells = crowded(ground, cell, until=260)
    dimmed = vignette(image)
    even = correct_illumination(dimmed)
    for part in (cells, ~cells):
        assert dimmed[part].std() / dimmed[part].mean() > 0.12
        assert even[part].std() / even[part].mean() < 0.04


def test_a_crowd_of_cells_is_not_taken_for_light():
    image, cells = crowded()
    assert correct_illumination(image)[cells].std() < 0.03 * image[cells].mean()
    assert correct_flat_field(image)[~cells].std() > 3 * correct_illumination(image)[~cells].std()


def test_the_mean_stays_and_the_answer_is_float32():
    image, _ = crowded()
    even = correct_illumination(vignette(image).astype(np.uint16))
    assert even.dtype == np.float32
    assert even.mean() == pytest.approx(vignette(image).astype(np.uint16).mean(), rel=1e-5)


def test_colours_keep_their_balance():
    image, _ = crowded()
    colour = np.stack([image, image / 2, image / 4], axis=2)
    even = correct_illumination(vignette(colour))
    assert even[..., 1] == pytest.approx(even[..., 0] / 2, rel=1e-4)
    assert even[..., 2] == pytest.approx(even[..., 0] / 4, rel=1e-4)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.zeros((30, 40), np.uint8), id="black"),
        pytest.param(np.full((30, 40), 7.0), id="constant"),
        pytest.param(np.full((1, 1), 9, np.uint16), id="one pixel"),
        pytest.param(np.full((1, 500, 3), 9, np.uint8), id="one row of colour"),
    ],
)
def test_an_even_image_stays_as_it_is(pixels):
    assert correct_illumination(pixels) == pytest.approx(pixels.astype(np.float64), rel=1e-5)


def test_values_below_zero_are_lifted_and_put_back():
    image, _ = crowded()
    even = correct_illumination(image - 20)
    assert even == pytest.approx(correct_illumination(image - image.min()) - 20 + image.min(), abs=1e-2)
