import cv2
import numpy as np
import pytest

from monolayer_core.foreground import choose_side


def field(share, *, ground=60, cell=170, rough=25, noise=2, seed=0):
    """Rough discs on a smooth ground that cover about `share` of the image."""
    rng = np.random.default_rng(seed)
    cells = np.zeros((200, 240), dtype=np.uint8)
    while np.mean(cells) < share:
        y, x = rng.integers(0, 200), rng.integers(0, 240)
        cv2.circle(cells, (int(x), int(y)), 16, 1, -1)
    structure = cv2.GaussianBlur(rng.normal(0, 1, cells.shape), (0, 0), 2)
    image = np.where(cells == 1, cell + rough * structure / structure.std(), ground) + rng.normal(0, noise, cells.shape)
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_the_rough_side_is_the_foreground_however_much_it_covers(share):
    image = field(share)
    assert choose_side(image) == "bright"
    assert choose_side(255 - image) == "dark"


def test_dark_cells_on_a_bright_ground_are_dark():
    assert choose_side(field(0.3, ground=200, cell=90)) == "dark"


def test_where_both_sides_are_alike_the_smaller_one_is_the_foreground():
    assert choose_side(field(0.2, rough=0, noise=0)) == "bright"
    assert choose_side(field(0.8, rough=0, noise=0)) == "dark"


def test_a_side_too_thin_for_an_inside_is_taken_with_its_rim():
    image = np.full((40, 40), 20, dtype=np.uint8)
    image[::8, ::8] = 200
    assert choose_side(image) == "bright"


def test_a_constant_image_has_one_side():
    assert choose_side(np.full((4, 4), 9, dtype=np.uint8)) == "bright"
