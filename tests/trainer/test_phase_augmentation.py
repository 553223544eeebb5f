"""Each change of phase contrast does what it says, alone, and nothing where it is off."""

import numpy as np
import pytest

from monolayer_trainer.phase_augmentation import (
    PhaseConfig,
    augment_phase,
    change_local_contrast,
    grains,
    outlines,
    smooth_field,
    specks,
)

OFF = PhaseConfig(halo=0, rim=0, local_contrast=0, unevenness=0, texture=0, debris=0)
LABELS = np.zeros((64, 64), np.int32)
LABELS[20:40, 20:40] = 1


def step_image(channels: int = 1) -> np.ndarray:
    return np.repeat(np.where(LABELS > 0, 160, 100).astype(np.uint8)[..., None], channels, axis=2)


def only(**changes: float) -> PhaseConfig:
    return OFF.model_copy(update=changes)


def test_nothing_is_changed_where_everything_is_off():
    np.testing.assert_array_equal(augment_phase(step_image(), LABELS, np.random.default_rng(0), OFF), step_image())


@pytest.mark.parametrize("name", ["halo", "rim", "local_contrast", "unevenness", "texture", "debris"])
def test_every_change_changes_the_image_the_same_way_for_the_same_seed_and_in_all_channels(name: str):
    first, again = (
        augment_phase(step_image(3), LABELS, np.random.default_rng(3), only(**{name: 1.0})) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != step_image(3)).any()
    assert (first == first[..., :1]).all()


@pytest.mark.parametrize(("strength", "sign"), [(1.0, 1), (-0.9, -1)])
def test_a_stronger_halo_raises_the_edge_and_a_weaker_one_flattens_it(strength: float, sign: int):
    config = only(halo=1.0, halo_low=strength, halo_high=strength)
    image = np.full((20, 160, 1), 100, np.uint8)
    image[:, 80:] = 160
    change = augment_phase(image, np.zeros((20, 160), np.int32), np.random.default_rng(0), config).astype(int) - image
    assert np.sign(change[10, 84, 0]) == sign
    assert np.sign(change[10, 75, 0]) == -sign
    assert abs(change[10, 2, 0]) <= 1, "far away nothing changes"


def test_outlines_run_between_touching_objects_too_and_are_at_most_one():
    labels = np.ones((40, 40), np.int32)
    labels[:, 20:] = 2
    found = outlines(labels, np.random.default_rng(0))
    assert found[:, 20].min() == pytest.approx(1, abs=0.05)
    assert found[:, :8].max() < 0.05
    assert found.max() <= 1
    assert outlines(np.ones((8, 8), np.int32), np.random.default_rng(0)).max() == 0


def test_local_contrast_multiplies_the_difference_from_the_mean():
    values = 100 + 10 * np.where(np.indices((64, 64)).sum(axis=0) % 2, 1, -1).astype(np.float32)[..., None]
    field = np.ones((64, 64), np.float32)
    changed = change_local_contrast(values, field, 2.0)
    np.testing.assert_allclose(changed, 100 + 2 * (values - 100), atol=0.5)
    np.testing.assert_allclose(change_local_contrast(values, 0 * field, 2.0), values, atol=1e-3)


def test_fields_and_grains_have_the_spread_they_claim():
    fields = [smooth_field((64, 64), np.random.default_rng(seed)) for seed in range(40)]
    assert np.std(fields) == pytest.approx(1, abs=0.25)
    assert max(np.abs(np.diff(field)).max() for field in fields) < 1, "smooth"
    noise = grains((64, 64), np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=1e-4)
    assert abs(noise.mean()) < 0.1


def test_specks_are_few_small_and_of_either_sign():
    found = [specks((128, 128), np.random.default_rng(seed), PhaseConfig()) for seed in range(20)]
    assert max(field.max() for field in found) > 20
    assert min(field.min() for field in found) < -20
    assert np.mean([np.mean(np.abs(field) > 10) for field in found]) < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (5, 3)])
def test_images_of_any_size_are_changed(size: tuple[int, int]):
    config = PhaseConfig(halo=1, rim=1, local_contrast=1, unevenness=1, texture=1, debris=1)
    image = np.full((*size, 1), 100, np.uint8)
    assert augment_phase(image, np.ones(size, np.int32), np.random.default_rng(0), config).shape == image.shape
