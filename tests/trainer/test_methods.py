"""Which K-means stands beside the network depends on the kind of picture."""

import numpy as np
import pytest

from monolayer_core.kmeans import KMeansOptions
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_core.pipeline import segment_kmeans
from monolayer_trainer.methods import KMEANS, METHODS, all_methods

CARD = ModelCard(
    name="toy",
    version="1",
    task="semantic",
    confluency_of="cell",
    channels="grey",
    outputs=(Output(name="cell", role="class"),),
    tile_sides=(128,),
    halo=16,
    divisor=2,
    training_data=TrainingData(name="none", licence="CC0-1.0", source="", images=0, objects=0),
)


def bright_and_rough() -> np.ndarray:
    """A smooth bright square, and a square as bright as the ground on average but rough; uint8 ``(y, x)``."""
    image = np.full((128, 128), 60, np.uint8)
    image[16:48, 16:48] = 220
    image[72:112, 72:112] = np.random.default_rng(0).integers(20, 100, (40, 40))
    return image


@pytest.mark.parametrize(
    ("modality", "foreground"), [("phase_contrast", "texture"), ("phase", "texture"), ("fluorescence", "auto")]
)
def test_cells_in_phase_contrast_are_found_by_their_texture(modality, foreground):
    image = bright_and_rough()
    methods = all_methods(CARD, lambda tiles: tiles, modality=modality)
    assert tuple(methods) == METHODS
    found = methods[KMEANS](image).labels
    np.testing.assert_array_equal(found, segment_kmeans(image, KMeansOptions(foreground=foreground)).labels)
    assert (found[80:104, 80:104] > 0).all() == (foreground == "texture")
