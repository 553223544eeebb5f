"""Filled crops: labels fit the picture, nothing that was there is lost, and layers close."""

import cv2
import numpy as np
import pytest

from monolayer_trainer.copy_paste import Filled, fill
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.image_cache import CachedImage

EVEN = DenseConfig(scale_spread=0, contrast_spread=0, rim_px=0, seam_low=1, closed_gap_px=0, donor_images=1)


def squares(channels: int = 1) -> CachedImage:
    """Ground 80, four squares of 20 pixels: two of 180 in class 0, two of 30 in class 1."""
    labels = np.zeros((120, 120), np.int32)
    for number, (y, x) in enumerate([(10, 10), (10, 80), (80, 10), (80, 80)], start=1):
        labels[y : y + 20, x : x + 20] = number
    image = np.array([80, 180, 30, 180, 30], np.uint8)[labels]
    return CachedImage.of(np.repeat(image[..., None], channels, axis=2), labels, np.array([0, 1, 0, 1]))


def empty_crop(ground: int, channels: int = 1) -> Filled:
    image = np.full((64, 64, channels), ground, np.uint8)
    return Filled(image, np.zeros((64, 64), np.int32), np.empty(0, np.intp))


def filled(crop: Filled, coverage: float, config: DenseConfig, seed: int = 0, scale: float = 1.0) -> Filled:
    source = squares(crop.image.shape[2])
    ground = np.full(crop.image.shape[2], 120.0)
    rng = np.random.default_rng(seed)
    return fill(crop, ground=ground, scale=scale, coverage=coverage, draw=lambda: source, rng=rng, config=config)


@pytest.mark.parametrize("channels", [1, 3])
def test_pasted_cells_match_the_ground_and_keep_their_class(channels: int):
    crop = filled(empty_crop(120, channels), 0.4, EVEN)
    assert len(crop.object_classes) == crop.labels.max()
    for number, object_class in enumerate(crop.object_classes, start=1):
        value = np.median(crop.image[crop.labels == number])
        assert value == (220 if object_class == 0 else 70), "100 above or 50 below the ground, as in their own image"
    assert np.median(crop.image[crop.labels == 0]) == 120


@pytest.mark.parametrize("coverage", [0.2, 0.5, 0.8])
def test_the_coverage_is_reached_and_little_exceeded(coverage: float):
    for seed in range(3):
        share = np.mean(filled(empty_crop(120), coverage, EVEN, seed).labels > 0)
        assert coverage <= share <= coverage + 0.13, "one square more or less is a tenth of the crop"


def test_a_full_layer_leaves_only_slivers():
    config = EVEN.model_copy(update={"closed_gap_px": 12.0, "strip_px": 3})
    assert np.mean(filled(empty_crop(120), 1.0, config).labels > 0) > 0.95


def test_what_is_there_stays_on_top():
    crop = empty_crop(120)
    crop.labels[20:40, 20:40] = 1
    crop.image[20:40, 20:40] = 200
    crop = Filled(crop.image, crop.labels, np.array([1]))
    result = filled(crop, 0.9, EVEN)
    np.testing.assert_array_equal(result.labels == 1, crop.labels == 1)
    assert (result.image[22:38, 22:38] == 200).all()
    assert result.object_classes[0] == 1
    assert (crop.image[:20] == 120).all(), "the crop that was given is not changed"


def test_a_denser_crop_is_left_alone():
    crop = empty_crop(120)
    crop.labels[:, :40] = 1
    crop = Filled(crop.image, crop.labels, np.array([0]))
    result = filled(crop, 0.5, EVEN)
    np.testing.assert_array_equal(result.labels, crop.labels)
    np.testing.assert_array_equal(result.image, crop.image)


def test_every_number_is_one_connected_piece_of_some_size():
    crop = filled(empty_crop(120), 0.95, EVEN, seed=3)
    for number in range(1, crop.labels.max() + 1):
        piece = (crop.labels == number).astype(np.uint8)
        assert piece.sum() >= 0.1 * 400
        assert cv2.connectedComponents(piece, connectivity=4)[0] == 2


def test_narrow_gaps_are_closed_in_a_full_layer_only():
    crop = empty_crop(120)
    crop.labels[:, :30], crop.labels[:, 34:] = 1, 2
    crop = Filled(crop.image, crop.labels, np.array([0, 0]))
    wide = EVEN.model_copy(update={"closed_gap_px": 8.0, "most_donors": 1, "strip_px": 9})
    full = filled(crop, 1.0, wide).labels
    assert set(np.unique(full)) == {1, 2}
    assert (full[:, :32] == 1).all()
    assert (full[:, 32:] == 2).all()
    np.testing.assert_array_equal(filled(crop, 0.6, wide).labels, crop.labels)


def test_a_rim_is_pasted_with_the_cell():
    """A bright ring of three pixels outside the mask comes along as far as the rim reaches."""
    labels = np.zeros((60, 60), np.int32)
    labels[20:40, 20:40] = 1
    image = np.full((60, 60, 1), 80, np.uint8)
    image[17:43, 17:43] = 140
    image[20:40, 20:40] = 30
    source = CachedImage.of(image, labels, np.array([0]))

    def brightest(rim_px: float) -> int:
        rng = np.random.default_rng(0)
        config = EVEN.model_copy(update={"rim_px": rim_px})
        done = fill(
            empty_crop(120), ground=np.array([120.0]), scale=1.0, coverage=0.05, draw=lambda: source, rng=rng,
            config=config,
        )  # fmt: skip
        return int(done.image[done.labels == 0].max())

    assert brightest(8.0) == 180
    assert brightest(0.0) < 140, "but for the softened edge"


def test_images_without_whole_cells_give_nothing():
    image = np.full((10, 10, 1), 80, np.uint8)
    bare = CachedImage.of(image, np.zeros((10, 10), np.int32), np.empty(0, np.intp))
    rng = np.random.default_rng(0)
    crop = empty_crop(120)
    done = fill(crop, ground=np.array([120.0]), scale=1.0, coverage=1.0, draw=lambda: bare, rng=rng, config=EVEN)
    np.testing.assert_array_equal(done.image, crop.image)
    assert done.labels.max() == 0


def test_the_same_seed_fills_alike():
    first, again, other = (filled(empty_crop(120), 0.7, DenseConfig(), seed) for seed in (4, 4, 5))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.labels, other.labels)
