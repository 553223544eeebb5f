"""Good images, spoiled ones and blank frames, and how many of each the quality flags find."""

from collections.abc import Sequence

import cv2
import numpy as np
from benchmarks.image_sets import Picture

from monolayer_core.arrays import Pixels
from monolayer_core.quality import assess_quality
from monolayer_core.row_source import ArrayRows

BLUR_PX = 4.0
NOISE_SHARE = 0.02  # of the range of the type, the standard deviation of a blank frame's noise


def blurred(pixels: Pixels) -> Pixels:
    """Out of focus: a Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), BLUR_PX))


def saturated(pixels: Pixels) -> Pixels:
    """Exposed so long that half of the values are at the end of the range."""
    highest = np.iinfo(pixels.dtype).max
    gain = highest / max(float(np.median(pixels)), 1.0)
    return np.minimum(np.rint(pixels * gain), highest).astype(pixels.dtype)


def blank(pixels: Pixels, seed: int = 0) -> Pixels:
    """An empty field of the same brightness and size, with noise."""
    highest = np.iinfo(pixels.dtype).max
    noise = np.random.default_rng(seed).normal(0, NOISE_SHARE * highest, pixels.shape)
    return np.clip(np.rint(np.median(pixels) + noise), 0, highest).astype(pixels.dtype)


CASES = {
    "good, any flag": (lambda pixels: pixels, None),
    f"blurred by {BLUR_PX:g} px, `out_of_focus`": (blurred, "out_of_focus"),
    "half of the values at the maximum, `saturated`": (saturated, "saturated"),
    "empty field with noise, `blank`": (blank, "blank"),
    "constant, `blank`": (lambda pixels: np.full_like(pixels, np.median(pixels)), "blank"),
}


def flagged_percent(pictures: Sequence[Picture]) -> dict[str, float]:
    """Percentage of images that are flagged as they should be (good ones: flagged at all), by case."""
    counts = dict.fromkeys(CASES, 0)
    for picture in pictures:
        pixels = picture.read()
        for name, (spoil, expected) in CASES.items():
            flags = assess_quality(ArrayRows(spoil(pixels))).flags
            counts[name] += bool(flags) if expected is None else expected in flags
    return {name: 100 * count / len(pictures) for name, count in counts.items()}


def quality_table(sets: dict[str, Sequence[Picture]]) -> str:
    """One row a case, one column a set, in percent."""
    percent = {name: flagged_percent(pictures) for name, pictures in sets.items()}
    lines = [
        "| flagged, % | " + " | ".join(f"{name} ({len(sets[name])})" for name in sets) + " |",
        "| --- |" + " --- |" * len(sets),
    ]
    lines += [f"| {case} | " + " | ".join(f"{percent[name][case]:.1f}" for name in sets) + " |" for case in CASES]
    return "\n".join(lines)
