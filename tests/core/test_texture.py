import cv2
import numpy as np
import pytest

from monolayer_core import texture
from monolayer_core.texture import find_texture


def phase_contrast(seed=0, side=320):
    """Cells a little darker than the ground, with organelles and, outside, a bright halo; where they are."""
    rng = np.random.default_rng(seed)
    cells = np.zeros((side, side), dtype=np.uint8)
    for y, x in ((60, 70), (80, 230), (220, 90), (230, 240)):
        cv2.ellipse(cells, (x, y), (38, 20), float(rng.integers(0, 180)), 0, 360, 1, -1)
    outside = cv2.distanceTransform(1 - cells, cv2.DIST_L2, 5)
    halo = np.where((outside > 0) & (outside < 6), 120 * np.exp(-outside / 3), 0)
    organelles = cv2.GaussianBlur(rng.normal(0, 1, cells.shape), (0, 0), 1.5)
    image = 1000 + halo + np.where(cells == 1, 60 * organelles / organelles.std() - 60, 0)
    return np.rint(image + rng.normal(0, 8, cells.shape)).astype(np.uint16), cells == 1


def test_cells_are_found_without_their_halos():
    image, cells = phase_contrast()
    mask = find_texture(image).mask
    assert 2 * np.sum(mask & cells) / (mask.sum() + cells.sum()) > 0.93
    assert abs(mask.mean() - cells.mean()) < 0.015
    halo = cv2.dilate(cells.view(np.uint8), np.ones((9, 9))).astype(bool) & ~cells
    assert mask[halo].mean() < 0.25


def test_an_inverted_image_gives_the_same_mask():
    image, _ = phase_contrast(1)
    assert np.mean(find_texture(image).mask != find_texture(65535 - image).mask) < 0.001


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image * 3 + 100, id="brighter"),
        pytest.param(lambda image: image / 1e6, id="small floats"),
        pytest.param(lambda image: image.astype(np.int32) - 2000, id="below zero"),
        pytest.param(lambda image: image * np.linspace(0.97, 1.03, image.shape[1]), id="a slope of the light"),
    ],
)
def test_gain_offset_and_type_do_not_matter(change):
    image, _ = phase_contrast(2)
    assert np.mean(find_texture(change(image)).mask != find_texture(image).mask) < 0.005


def test_centres_are_local_standard_deviations_in_the_units_of_the_input():
    rng = np.random.default_rng(0)
    image = rng.normal(500, 5, (200, 200))
    image[:, 100:] = rng.normal(500, 100, (200, 100))
    found = find_texture(image)
    assert found.k == 2
    assert found.centres[0][0] == pytest.approx(5, rel=0.1)
    assert found.centres[1][0] == pytest.approx(100, rel=0.1)
    assert found.shares == pytest.approx((0.5, 0.5), abs=0.05)


def test_clusters_are_ascending_and_their_shares_add_up():
    image, _ = phase_contrast(3)
    found = find_texture(image, 5)
    assert found.k == 5
    assert list(found.centres) == sorted(found.centres)
    assert sum(found.shares) == pytest.approx(1)


def test_debris_is_dropped_and_holes_are_filled():
    mask = np.zeros((100, 100), dtype=bool)
    mask[10:50, 10:50] = True
    mask[25:30, 25:30] = False
    mask[80:90, 80:90] = True
    cleaned = texture._without_debris(mask)
    assert cleaned[15:45, 15:45].all()
    assert not cleaned[50:, 50:].any()


@pytest.mark.parametrize("shape", [(1, 1), (50, 40), (1, 300)])
def test_a_constant_image_has_no_texture(shape):
    found = find_texture(np.full(shape, 7, dtype=np.uint16))
    assert not found.mask.any()
    assert (found.k, found.centres, found.shares) == (1, ((0.0,),), (1.0,))


def test_working_in_bands_changes_nothing(monkeypatch):
    image, _ = phase_contrast(4)
    whole = find_texture(image).mask
    monkeypatch.setattr(texture, "_BAND_PX", 37 * image.shape[1])
    assert np.mean(find_texture(image).mask != whole) < 1e-4
