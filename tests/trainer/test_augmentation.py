"""Random changes: nothing when nothing is asked for, the right thing when one is, and never out of range."""

import numpy as np
import pytest
from pydantic import ValidationError

from monolayer_trainer.augmentation import AugmentationConfig, augment_intensity
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.geometry import bend, cut, draw_scale, orient
from monolayer_trainer.phase_augmentation import PhaseConfig
from monolayer_trainer.stain import jitter_stain

PLAIN = AugmentationConfig.none()


def only(**changes: float) -> AugmentationConfig:
    return PLAIN.model_copy(update=changes)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)


def test_without_augmentation_nothing_changes(picture, rng):
    np.testing.assert_array_equal(augment_intensity(picture, rng, PLAIN), picture)
    image, labels = orient(picture, picture[..., 0].astype(np.int32), rng, PLAIN)
    np.testing.assert_array_equal(image, picture)
    np.testing.assert_array_equal(labels, picture[..., 0])


def test_inversion_exchanges_bright_and_dark(picture, rng):
    np.testing.assert_array_equal(augment_intensity(picture, rng, only(invert=1)), 255 - picture)


def test_grey_makes_all_channels_the_luminance(picture, rng):
    grey = augment_intensity(picture, rng, only(grey=1))
    expected = picture @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey, np.repeat(expected[..., None], 3, axis=2), atol=1)


def test_permuted_channels_hold_the_same_values(picture, rng):
    permuted = augment_intensity(picture, rng, only(permute_channels=1))
    np.testing.assert_array_equal(np.sort(permuted, axis=2), np.sort(picture, axis=2))


def test_gamma_leaves_black_and_white_and_the_order_of_values(rng):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    bent = augment_intensity(ramp, rng, only(gamma=1)).ravel().astype(int)
    assert (bent[0], bent[-1]) == (0, 255)
    assert (np.diff(bent) >= 0).all()
    assert bent[128] != 128


def test_brightness_adds_the_same_everywhere(rng):
    image = np.full((8, 8, 1), 128, np.uint8)
    image[:4] = 100
    changed = augment_intensity(image, rng, only(brightness=1)).astype(int)
    difference = changed - image
    assert difference.min() == difference.max() != 0
    assert abs(difference.max()) <= 0.15 * 255 + 1


def test_contrast_stretches_around_the_mean():
    image = np.array([[90, 110] * 8] * 16, np.uint8)[..., None]
    for seed in range(10):
        changed = augment_intensity(image, np.random.default_rng(seed), only(contrast=1))
        assert changed.astype(float).mean() == pytest.approx(image.mean(), abs=6)
        assert 9 <= np.ptp(changed) <= 31


def test_a_gradient_darkens_one_side_and_brightens_the_other():
    image = np.full((33, 33, 1), 100, np.uint8)
    corners = augment_intensity(image, np.random.default_rng(0), only(gradient=1))[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    assert corners.min() < 100 < corners.max()
    assert corners.astype(int).sum() == pytest.approx(400, abs=4)


def test_blur_keeps_the_mean_and_lowers_the_contrast(picture, rng):
    blurred = augment_intensity(picture, rng, only(blur=1, blur_px=3.0))
    assert blurred.mean() == pytest.approx(picture.mean(), abs=1)
    assert blurred.std() < picture.std()


def test_noise_is_the_same_in_all_channels_so_that_grey_stays_grey(rng):
    grey = np.full((64, 64, 3), 120, np.uint8)
    noisy = augment_intensity(grey, rng, only(noise=1))
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])
    assert 0 < noisy.std() < 20
    assert noisy.mean() == pytest.approx(120, abs=1)


def test_stain_jitter_leaves_white_glass_white_and_changes_the_tissue(rng):
    image = np.full((4, 4, 3), 255, np.uint8)
    image[:2] = (120, 60, 140)
    changed = jitter_stain(image, rng, 0.25)
    np.testing.assert_array_equal(changed[2:], 255)
    assert (changed[:2] != image[:2]).any()


def test_stain_jitter_of_strength_zero_changes_nothing(picture, rng):
    np.testing.assert_allclose(jitter_stain(picture, rng, 0.0).astype(int), picture, atol=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_everything_at_once_gives_uint8_of_the_same_shape_for_any_picture(channels):
    config = only(invert=1, grey=1, permute_channels=1, stain=1, channel_gain=1, brightness=1, contrast=1, gamma=1,
                  gradient=1, blur=1, noise=1)  # fmt: skip
    for value in (0, 255):
        image = np.full((32, 32, channels), value, np.uint8)
        changed = augment_intensity(image, np.random.default_rng(value), config)
        assert changed.dtype == np.uint8
        assert changed.shape == image.shape


def test_image_and_labels_turn_together(rng):
    labels = np.arange(1, 26, dtype=np.int32).reshape(5, 5)
    seen = set()
    for _ in range(40):
        image, turned = orient(labels[..., None].astype(np.uint8), labels, rng, only(flip=0.5, turn=0.75))
        np.testing.assert_array_equal(image[..., 0], turned)
        seen.add(turned.tobytes())
    assert len(seen) == 8, "a square has eight orientations"


def test_bending_moves_image_and_labels_together_and_invents_no_label(rng):
    labels = np.zeros((64, 64), np.int32)
    labels[16:48, 16:48] = 70_001
    image = np.where(labels > 0, 200, 0).astype(np.uint8)[..., None]
    bent, bent_labels = bend(image, labels, rng, 4.0)
    assert set(np.unique(bent_labels)) == {0, 70_001}
    assert (bent_labels != labels).any()
    assert ((bent[..., 0] > 100) == (bent_labels > 0)).mean() > 0.98


@pytest.mark.parametrize("side", [16, 8, 4], ids=["same size", "enlarged", "enlarged four times"])
def test_a_cut_square_is_the_part_of_the_image_it_names(side):
    labels = np.arange(32 * 32, dtype=np.int32).reshape(32, 32) // (side // 4)
    image = np.repeat((labels % 251).astype(np.uint8)[..., None], 3, axis=2)
    crop, crop_labels = cut(image, labels, y=5, x=9, side=side, size=16)
    repeats = 16 // side
    expected = labels[5 : 5 + side, 9 : 9 + side].repeat(repeats, axis=0).repeat(repeats, axis=1)
    np.testing.assert_array_equal(crop_labels, expected)
    if side == 16:
        np.testing.assert_array_equal(crop, image[5:21, 9:25])


def test_shrinking_averages_the_image_and_keeps_labels_whole():
    labels = np.repeat(np.array([[1] * 8 + [7] * 8], np.int32), 16, axis=0)
    image = np.tile(np.array([[0, 200]], np.uint8), (16, 8))[..., None]
    crop, crop_labels = cut(image, labels, y=0, x=0, side=16, size=8)
    np.testing.assert_array_equal(crop, 100)
    np.testing.assert_array_equal(crop_labels, [[1] * 4 + [7] * 4] * 8)


def test_outside_the_image_it_is_mirrored():
    labels = np.array([[1, 2, 3]], np.int32)
    image = labels.astype(np.uint8)[..., None]
    crop, crop_labels = cut(image, labels, y=-2, x=-2, side=5, size=5)
    np.testing.assert_array_equal(crop_labels, [[3, 2, 1, 2, 3]] * 5)
    np.testing.assert_array_equal(crop[..., 0], crop_labels)


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_probability_outside_zero_to_one_is_refused(value):
    with pytest.raises(ValidationError, match="blur"):
        AugmentationConfig(blur=value)


def test_scales_in_the_wrong_order_are_refused():
    with pytest.raises(ValidationError, match="scale_low"):
        AugmentationConfig(scale_low=2, scale_high=1)


def test_every_field_is_described():
    assert all(field.description for field in AugmentationConfig.model_fields.values())


def test_magnifications_are_native_or_spread_over_the_range():
    config = AugmentationConfig(native=0.25, scale_low=0.3, scale_high=2.0, least_object_px=6.0)
    rng = np.random.default_rng(0)
    drawn = np.array([draw_scale(rng, config, 30.0) for _ in range(4000)])
    assert (drawn == 1).mean() == pytest.approx(0.25, abs=0.02)
    others = np.log(drawn[drawn != 1])
    assert np.exp(others.min()) == pytest.approx(0.3, abs=0.01)
    assert np.exp(others.max()) == pytest.approx(2.0, abs=0.02)
    assert others.mean() == pytest.approx((np.log(0.3) + np.log(2.0)) / 2, abs=0.03)


@pytest.mark.parametrize(("diameter_px", "lowest"), [(0.0, 0.3), (12.0, 0.5), (4.0, 1.0)])
def test_objects_are_not_shrunk_to_specks(diameter_px: float, lowest: float):
    config = AugmentationConfig(native=0, scale_low=0.3, scale_high=2.0, least_object_px=6.0)
    rng = np.random.default_rng(0)
    drawn = [draw_scale(rng, config, diameter_px) for _ in range(2000)]
    assert min(drawn) == pytest.approx(lowest, rel=0.01)


def test_a_share_of_the_crops_is_plain():
    config = AugmentationConfig(plain=0.3, flip=0.25, turn=0.5, dense=DenseConfig(), phase=PhaseConfig())
    rng = np.random.default_rng(0)
    drawn = [config.drawn(rng) for _ in range(2000)]
    plain = [one for one in drawn if one is not config]
    assert 0.27 < len(plain) / len(drawn) < 0.33
    assert set(map(AugmentationConfig.model_dump_json, plain)) == {
        AugmentationConfig.none().model_copy(update={"flip": 0.25, "turn": 0.5}).model_dump_json()
    }


def test_without_plain_crops_nothing_is_drawn():
    rng = np.random.default_rng(0)
    config = AugmentationConfig()
    assert config.drawn(rng) is config
    assert rng.random() == np.random.default_rng(0).random()
