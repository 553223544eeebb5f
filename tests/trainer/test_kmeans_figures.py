"""Vignette, inversion and phase contrast on pictures whose answer is known."""

import cv2
import numpy as np
import pytest

from monolayer_trainer.kmeans_figures import inverted, phase_contrast, robustness, vignetted


def discs() -> np.ndarray:
    """Bright discs on a dark ground with a little noise, uint8 ``(y, x)``."""
    image = np.full((128, 128), 40, np.uint8)
    for y in range(16, 128, 32):
        for x in range(16, 128, 32):
            cv2.circle(image, (x, y), 7, 200, -1)
    return image + np.random.default_rng(0).integers(0, 5, image.shape).astype(np.uint8)


def test_a_vignette_keeps_the_middle_and_divides_the_corners():
    spoiled = vignetted(np.full((3, 3), 90.0), ratio=3)
    np.testing.assert_allclose(spoiled, [[30, 45, 30], [45, 90, 45], [30, 45, 30]])


def test_a_vignette_keeps_type_and_channels():
    spoiled = vignetted(np.full((3, 3, 3), 100, np.uint8), ratio=3)
    assert spoiled.dtype == np.uint8
    assert spoiled[0, 0].tolist() == [33, 33, 33]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [(np.array([[0, 255]], np.uint8), [[255, 0]]), (np.array([[0.5, 2.0]]), [[1.5, 0.0]])],
    ids=["uint8", "float"],
)
def test_inversion_exchanges_bright_and_dark(pixels, expected):
    assert inverted(pixels).tolist() == expected


def test_kmeans_stands_vignette_and_inversion():
    figures = robustness([discs(), discs()])
    assert figures["images"] == 2
    assert figures["vignette_dice"]["worst"] >= 0.95
    assert figures["inversion_percent"]["worst"] <= 1.0


def test_phase_contrast_is_scored_by_confluency(tmp_path):
    rng = np.random.default_rng(0)
    image = np.full((128, 128), 120, np.uint8)
    labels = np.zeros((128, 128), np.uint16)
    labels[32:96, 32:96] = 1
    image[32:96, 32:96] = rng.integers(40, 220, (64, 64))
    for name, pixels in (("images", image), ("labels", labels)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "field.png"), pixels)
    figures = phase_contrast(tmp_path)
    assert figures["images"] == 1
    # A quarter of the image is covered; texture is felt a few pixels beyond its edge.
    assert figures["confluency_error_absolute"] < 15
    assert figures["bias"] == pytest.approx(figures["confluency_error_absolute"])
