"""The halo is found where the network's reach ends."""

import cv2
import numpy as np
import pytest

from monolayer_core.arrays import Predict, TileBatch
from monolayer_export.halo import measure_halo, widest_halo

IMAGE = np.random.default_rng(0).integers(0, 256, (160, 136, 1), dtype=np.uint8)


def network_with_reach(reach: int) -> Predict:
    """The mean of a square reaching so many pixels to all sides, with zeros beyond the tile as in a convolution."""

    def predict(tiles: TileBatch) -> TileBatch:
        width = 2 * reach + 1
        blurred = [cv2.blur(tile, (width, width), borderType=cv2.BORDER_CONSTANT) for tile in tiles]
        return np.stack(blurred).reshape(tiles.shape)

    return predict


@pytest.mark.parametrize(("reach", "halo"), [(0, 0), (3, 8), (8, 8), (9, 16), (23, 24)])
def test_the_halo_is_the_reach_rounded_up_to_the_divisor(reach: int, halo: int) -> None:
    found = measure_halo(network_with_reach(reach), [IMAGE], tile_sides=[64, 128], divisor=8, output_count=1)

    assert found.sufficient
    assert found.halo == halo
    assert found.tile_sides == (64, 128)
    assert [point.halo for point in found.curve] == list(range(0, halo + 1, 8))
    assert found.curve[-1].differing <= 0.001


def test_tiles_too_small_for_the_reach_are_given_up() -> None:
    found = measure_halo(network_with_reach(39), [IMAGE], tile_sides=[64, 128], divisor=8, output_count=1)

    assert found.sufficient
    assert found.halo == 40
    assert found.tile_sides == (128,)


def test_a_reach_beyond_every_tile_leaves_the_widest_halo_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    image = np.tile(IMAGE, (2, 1, 1))

    found = measure_halo(network_with_reach(70), [image], tile_sides=[64, 128], divisor=8, output_count=1)

    assert not found.sufficient
    assert found.halo == 24
    assert found.tile_sides == (64, 128)
    assert "no halo" in caplog.text


def test_the_worst_image_decides() -> None:
    black = np.zeros((2048, 2048, 1), np.uint8)  # zeros beyond a tile change nothing in it
    seams = np.zeros((512, 512, 1), np.uint8)
    seams[::64] = 255

    together = measure_halo(network_with_reach(3), [black, seams], tile_sides=[64], divisor=8, output_count=1)

    assert together.halo == 8
    assert together.curve[0].worst_image > 0.001
    assert together.curve[0].differing < together.curve[0].worst_image / 10


def test_images_that_fit_one_tile_tell_nothing() -> None:
    found = measure_halo(network_with_reach(3), [IMAGE[:64, :64]], tile_sides=[64], divisor=8, output_count=1)

    assert not found.sufficient
    assert found.curve == ()


@pytest.mark.parametrize(("side", "divisor", "halo"), [(256, 16, 112), (128, 32, 32), (64, 1, 31), (32, 32, 0)])
def test_the_widest_halo_leaves_something_of_the_tile(side: int, divisor: int, halo: int) -> None:
    assert widest_halo(side, divisor) == halo
    assert 2 * halo < side
