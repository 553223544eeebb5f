"""A donor goes where it hides least, and beside other cells where that is wanted."""

import numpy as np
import pytest

from monolayer_trainer.placement import find_place


def hidden_px(occupied: np.ndarray, side: int, place: tuple[int, int]) -> int:
    y, x = place
    return int(np.count_nonzero(occupied[max(y, 0) : y + side, max(x, 0) : x + side]))


@pytest.mark.parametrize("seed", range(5))
def test_the_only_free_place_is_found(seed: int):
    occupied = np.ones((64, 64), np.bool_)
    occupied[10:30, 24:44] = False
    place = find_place(occupied, np.ones((20, 20), np.bool_), 0.0, np.random.default_rng(seed))
    assert place == pytest.approx((10, 24), abs=3), "up to the random part"


def test_a_coarse_grid_finds_the_place_of_a_large_crop():
    occupied = np.ones((256, 256), np.bool_)
    occupied[40:120, 96:176] = False
    place = find_place(occupied, np.ones((80, 80), np.bool_), 0.0, np.random.default_rng(0))
    assert place == pytest.approx((40, 96), abs=12)
    assert place[0] % 4 == place[1] % 4 == 0, "on a grid of 256 / 64 pixels"


def test_touching_cells_are_sought_where_touching_is_worth_it():
    occupied = np.zeros((64, 64), np.bool_)
    occupied[:, :8] = True

    def gaps(touching: float) -> list[int]:
        donor = np.ones((16, 16), np.bool_)
        places = [find_place(occupied, donor, touching, np.random.default_rng(seed)) for seed in range(20)]
        return [x - 8 for _, x in places]

    assert max(gaps(20.0)) <= 1
    assert np.mean(gaps(0.0)) > 8


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 200)])
def test_donors_of_any_size_find_a_place_that_meets_the_crop(shape: tuple[int, int]):
    y, x = find_place(np.zeros((40, 40), np.bool_), np.ones(shape, np.bool_), 0.5, np.random.default_rng(0))
    assert -shape[0] < y < 40
    assert -shape[1] < x < 40
