"""What the export wrote, the trainer can go on from: batch normalisation, folded away there, is unfolded here."""

from pathlib import Path

import numpy as np

import monolayer_service
from monolayer_core.model_card import TEST_INPUT_NAME, TEST_OUTPUT_NAME
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.networks.build import build_network
from monolayer_trainer.networks.inference import build_inference_network
from monolayer_trainer.networks.start import apply_start_weights
from monolayer_trainer.start_weights import read_start_weights, refuse_unlike

BUNDLE = Path(monolayer_service.__file__).parent / "bundles" / "nuclei"


def test_a_network_started_from_the_shipped_bundle_gives_its_test_answer():
    config = TrainConfig(start_from=str(BUNDLE))
    refuse_unlike(BUNDLE, config)
    start = read_start_weights(BUNDLE)
    tiles = np.load(BUNDLE / TEST_INPUT_NAME)
    network = build_network(config, 1)
    apply_start_weights(network, start, start.outputs, tiles)
    kept = build_inference_network(config, 1)
    kept.set_weights(network.get_weights())
    answer = np.asarray(kept(tiles.astype(np.float32), training=False))
    distance = np.abs(255 * answer - np.load(BUNDLE / TEST_OUTPUT_NAME))
    assert distance.max() < 1.5, "half a level is rounding, the rest the order of sums"
    assert distance.mean() < 0.3
