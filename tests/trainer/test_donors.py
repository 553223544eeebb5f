"""Donors are whole cells, as differences from the ground around them."""

import numpy as np
import pytest

from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.donors import cut_donor, whole_objects
from monolayer_trainer.image_cache import CachedImage

PLAIN = DenseConfig(single=1, scale_spread=0, contrast_spread=0, rim_px=3)


def three_cells() -> CachedImage:
    """Ground 100; cell 1 at the frame, cell 2 (+50, class 1) alone, cells 3 and 4 (-40, +20) side by side."""
    labels = np.zeros((80, 80), np.int32)
    labels[0:10, 20:40] = 1
    labels[20:40, 10:30] = 2
    labels[50:70, 40:50] = 3
    labels[50:70, 50:60] = 4
    image = np.array([100, 120, 150, 60, 120], np.uint8)[labels][..., None]
    return CachedImage.of(image, labels, np.array([0, 1, 0, 0]))


def test_objects_at_the_frame_are_not_whole():
    assert whole_objects(three_cells()).tolist() == [2, 3, 4]


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_donor_keeps_its_contrast_and_class_and_takes_the_scale_of_the_crop(scale: float):
    rng = np.random.default_rng(1)
    donor = cut_donor(three_cells(), np.array([2]), scale=scale, side=64, rng=rng, config=PLAIN)
    assert donor.object_classes.tolist() == [1]
    inside = donor.contrast[donor.labels == 1]
    assert np.median(inside) == 50
    assert donor.mean_area_px == pytest.approx(400 * scale**2, rel=0.1)
    assert np.median(donor.contrast[donor.labels == 0]) == pytest.approx(0, abs=1)
    assert (donor.clear[donor.labels == 1] >= 0.3).all(), "no other cell is near"


def test_a_neighbour_that_is_not_of_the_donor_is_not_clear():
    donor = cut_donor(three_cells(), np.array([3]), scale=1.0, side=16, rng=np.random.default_rng(2), config=PLAIN)
    assert set(np.unique(donor.labels)) == {0, 1}
    outside = donor.labels == 0
    bright = outside & (donor.contrast[..., 0] == 20)
    assert bright.any(), "the neighbour is in the window"
    assert (donor.clear[bright] < 1e-6).all()


def test_cells_that_lie_together_come_together():
    config = PLAIN.model_copy(update={"single": 0.0})
    donor = cut_donor(three_cells(), np.array([3, 4]), scale=1.0, side=100, rng=np.random.default_rng(0), config=config)
    assert donor.labels.max() == 2
    assert donor.object_classes.tolist() == [0, 0]
    medians = {float(np.median(donor.contrast[donor.labels == number])) for number in (1, 2)}
    assert medians == {-40, 20}


def test_contrast_is_changed_within_its_spread():
    config = PLAIN.model_copy(update={"contrast_spread": 0.5})
    factors = [
        np.median(donor.contrast[donor.labels == 1]) / 50
        for seed in range(12)
        for donor in [
            cut_donor(three_cells(), np.array([2]), scale=1.0, side=64, rng=np.random.default_rng(seed), config=config)
        ]
    ]
    assert min(factors) >= 0.5
    assert max(factors) <= 1.5
    assert max(factors) - min(factors) > 0.3


def test_a_donor_scaled_away_has_no_labels():
    donor = cut_donor(three_cells(), np.array([3]), scale=0.01, side=8, rng=np.random.default_rng(0), config=PLAIN)
    assert donor.labels.size > 0
