"""Augmentation by the kind of picture, one name each; the command line shows the names without loading OpenCV."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monolayer_trainer.augmentation import AugmentationConfig


class Preset(StrEnum):
    """Kinds of picture whose crops are changed in their own way."""

    DEFAULT = "default"
    PHASE_CONTRAST = "phase-contrast"
    SMEAR = "smear"


def augmentation_of(preset: Preset, input_scale: float = 1.0) -> "AugmentationConfig":
    """Give the augmentation of a preset for a network that sees images at a part of their size.

    ``default`` suits stained and fluorescent images. ``phase-contrast`` is for cell layers: crops are filled up to a
    closed layer, and changed as other microscopes would show them; the stains of histology play no part. ``smear`` is
    for stained smears, whose classes differ in colour and whose magnification is nearly always the same.
    """
    from monolayer_trainer.augmentation import AugmentationConfig
    from monolayer_trainer.dense_config import DenseConfig
    from monolayer_trainer.phase_augmentation import PhaseConfig

    if preset == Preset.PHASE_CONTRAST:
        return AugmentationConfig(
            plain=0.35,  # as strong as the other changes are, the true images would hardly be seen
            scale_low=0.3,
            scale_high=2.0,
            least_object_px=10,  # smaller cells have no outline left
            stain=0,
            permute_channels=0,
            channel_gain=0,
            dense=DenseConfig().at(input_scale),
            phase=PhaseConfig(),
        )
    if preset == Preset.SMEAR:
        return AugmentationConfig(
            scale_low=0.6,
            scale_high=1.6,
            invert=0,
            grey=0.05,
            permute_channels=0,
            gamma_high=1.5,
            contrast_strength=0.3,
        )
    return AugmentationConfig()
