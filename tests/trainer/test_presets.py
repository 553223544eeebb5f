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
