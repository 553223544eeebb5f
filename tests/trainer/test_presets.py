"""Presets are named augmentations that survive a file."""

import pytest

from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.presets import Preset, augmentation_of


@pytest.mark.parametrize("preset", list(Preset))
def test_a_preset_survives_a_file(preset: Preset):
    config = augmentation_of(preset)
    assert AugmentationConfig.model_validate_json(config.model_dump_json()) == config


def test_only_phase_contrast_fills_crops_and_changes_halos():
    assert augmentation_of(Preset.DEFAULT) == AugmentationConfig()
    dense = augmentation_of(Preset("phase-contrast")).dense
    assert dense is not None
    assert dense.coverage_high == 1
    assert augmentation_of(Preset.PHASE_CONTRAST).phase is not None


def test_lengths_in_pixels_shrink_with_the_images():
    full, half = (augmentation_of(Preset.PHASE_CONTRAST, scale).dense for scale in (1.0, 0.5))
    assert full is not None
    assert half is not None
    assert (half.rim_px, half.closed_gap_px, half.strip_px) == (4.5, 7.0, 4)
    same = {"rim_px": full.rim_px, "closed_gap_px": full.closed_gap_px, "strip_px": full.strip_px}
    assert half.model_copy(update=same) == full
