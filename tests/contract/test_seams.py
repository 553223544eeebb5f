"""Tiles leave no seams: the shipped network's answer for a large image does not depend on how it was cut."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from monolayer_core.image_io import decode_image
from monolayer_core.model_card import MODEL_NAME, read_card
from monolayer_core.pipeline import interpret, prepare
from monolayer_core.prediction import predict_probabilities

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "service" / "monolayer_service" / "bundles" / "nuclei"
SIDE = 2048


def mosaic() -> np.ndarray:
    """Examples of every kind in random order, each stretched to the full range, filling a square of 2048 pixels."""
    rng = np.random.default_rng(0)
    card = read_card(BUNDLE)
    pictures = [
        prepare(decode_image(path.read_bytes()).pixels, card) for path in sorted((ROOT / "examples").glob("*.png"))
    ]
    patches = [picture[:256, :256] for picture in pictures]
    rows = [np.hstack([patches[i] for i in rng.integers(len(patches), size=SIDE // 256)]) for _ in range(SIDE // 256)]
    return np.ascontiguousarray(np.vstack(rows))


@pytest.fixture(scope="module")
def network():
    session = ort.InferenceSession(BUNDLE / MODEL_NAME, providers=["CPUExecutionProvider"])
    return lambda tiles: session.run(None, {"image": tiles})[0]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return mosaic()


@pytest.fixture(scope="module")
def untiled(network, image) -> np.ndarray:
    return network(image[np.newaxis])[0]


@pytest.mark.parametrize("sides", [(256,), (512,), (1024,), (256, 512, 1024)], ids=str)
def test_a_tiled_mosaic_equals_the_untiled_one(network, image, untiled, sides: tuple[int, ...]) -> None:
    card = read_card(BUNDLE)

    tiled = predict_probabilities(image, card, network, sides=sides)

    differing = np.abs(tiled.astype(np.int16) - untiled).max(axis=2) > 1
    assert differing.mean() <= 0.001

    in_tiles, whole = interpret(tiled, card), interpret(untiled, card)
    assert np.mean((in_tiles.labels > 0) != (whole.labels > 0)) <= 0.001
    assert np.mean(borders(in_tiles.labels) != borders(whole.labels)) <= 0.001
    assert len(in_tiles.class_ids) == pytest.approx(len(whole.class_ids), rel=0.001)
    assert len(whole.class_ids) > 500


def borders(labels: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbour belongs to another object, whatever the objects' numbers."""
    changes = np.zeros(labels.shape, bool)
    changes[:, :-1] = labels[:, 1:] != labels[:, :-1]
    changes[:-1] |= labels[1:] != labels[:-1]
    return changes
