"""Changes that turn phase contrast of one microscope and cell line into that of others.

What differs between microscopes is how strong and wide the halo is and whether it is bright or dark, how much contrast
cells have where, how even the ground is, and what lies on it. Labels stay as they are: debris is no cell.
"""

from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from monolayer_core.arrays import ImageUInt8, LabelImage

Probability = Annotated[float, Field(ge=0, le=1)]
Floats = npt.NDArray[np.float32]

NARROW_PX, WIDE_PX = 1.0, 6.0
"""Standard deviations between which the blurs are drawn that make halos and texture."""

GRIDS = (3, 7)
"""Points per side of the grid on which unevenness and local contrast are drawn, smallest and largest."""

MEAN_REDUCTION = 8
"""The mean that local contrast refers to is taken at a size reduced so much."""

DEBRIS_RING = 0.6
"""Weight of the ring around a speck, compared with the speck."""


class PhaseConfig(BaseModel):
    """How often each change is made, and how strongly. Probabilities are per crop, strengths in grey levels of 255."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    empty: Probability = Field(
        0.06, description="share of crops of bare ground, its grain stretched as an image without cells is"
    )
    halo: Probability = Field(0.4, description="strengthen or weaken halos: add or take a band of frequencies")
    halo_low: float = Field(
        -0.6, ge=-1, description="weakest halo: this part of the band is added; negative takes away"
    )
    halo_high: float = Field(1.5, ge=0, description="strongest halo, likewise")
    rim: Probability = Field(0.25, description="brighten or darken the outlines of cells")
    rim_strength: float = Field(40.0, ge=0, description="largest change at an outline")
    local_contrast: Probability = Field(0.4, description="stretch and squeeze the contrast from place to place")
    local_contrast_factor: float = Field(1.8, ge=1, description="standard deviation of the factor, as a factor")
    unevenness: Probability = Field(0.4, description="uneven ground: add a smooth field")
    unevenness_strength: float = Field(20.0, ge=0, description="largest standard deviation of that field")
    texture: Probability = Field(0.3, description="add grains of the size of organelles to all of the crop")
    texture_strength: float = Field(9.0, ge=0, description="largest standard deviation of the grains")
    debris: Probability = Field(0.4, description="strew bright and dark specks, which are no cells")
    debris_most: int = Field(40, ge=1, description="most specks in 256 x 256 pixels")
    debris_strength: float = Field(90.0, ge=0, description="largest contrast of a speck")


def augment_phase(image: ImageUInt8, labels: LabelImage, rng: np.random.Generator, config: PhaseConfig) -> ImageUInt8:
    """Change one crop as another microscope, culture or cell line would.

    Parameters
    ----------
    image
        uint8 ``(y, x, c)``, normalised; all channels are changed alike.
    labels
        int32 ``(y, x)``; outlines are taken from it.
    rng
        Decides which changes are made.
    config
        How often and how strongly.
    """
    chances = (config.halo, config.rim, config.local_contrast, config.unevenness, config.texture, config.debris)
    halo, rim, local_contrast, unevenness, texture, debris = rng.random(len(chances)) < chances
    values = image.astype(np.float32)
    if halo:
        values += np.float32(rng.uniform(config.halo_low, config.halo_high)) * band(values, rng)
    if local_contrast:
        values = change_local_contrast(values, smooth_field(labels.shape, rng), config.local_contrast_factor)
    plane = np.zeros(labels.shape, np.float32)
    if rim:
        plane += np.float32(rng.uniform(-1, 1) * config.rim_strength) * outlines(labels, rng)
    if unevenness:
        plane += np.float32(rng.uniform(0, config.unevenness_strength)) * smooth_field(labels.shape, rng)
    if texture:
        plane += np.float32(rng.uniform(0, config.texture_strength)) * grains(labels.shape, rng)
    if debris:
        plane += specks(labels.shape, rng, config)
    return np.asarray(np.clip(values + plane[..., None] + 0.5, 0, 255), np.uint8)


def band(values: Floats, rng: np.random.Generator) -> Floats:
    """Difference of two Gaussians of the image, which is what a phase ring of another width passes."""
    sigma = rng.uniform(NARROW_PX, WIDE_PX)
    return _blur(values, sigma) - _blur(values, 2.5 * sigma)


def outlines(labels: LabelImage, rng: np.random.Generator) -> Floats:
    """Blurred outlines of all objects, 0 to 1; ``(y, x)``."""
    edges = np.zeros(labels.shape, np.float32)
    edges[1:] = labels[1:] != labels[:-1]
    edges[:, 1:] = np.maximum(edges[:, 1:], labels[:, 1:] != labels[:, :-1])
    sigma = rng.uniform(NARROW_PX, WIDE_PX / 2)
    return np.asarray(np.clip(_blur(edges, sigma) * np.float32(np.sqrt(2 * np.pi) * sigma), 0, 1), np.float32)


def change_local_contrast(values: Floats, field: Floats, factor: float) -> Floats:
    """Multiply what differs from the mean around by `factor` to the power of the field."""
    height, width = values.shape[:2]
    reduced = max(width // MEAN_REDUCTION, 1), max(height // MEAN_REDUCTION, 1)
    small = _blur(np.asarray(cv2.resize(values, reduced, interpolation=cv2.INTER_AREA), np.float32), 2.0)
    mean = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    mean = mean.reshape(values.shape)
    gain = np.exp(np.float32(np.log(factor)) * field)[..., None]
    return np.asarray(mean + (values - mean) * gain, np.float32)


def smooth_field(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Smooth random field of standard deviation near 1."""
    coarse = rng.standard_normal((int(rng.integers(*GRIDS, endpoint=True)),) * 2, np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def grains(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Noise without fine and coarse parts, of standard deviation 1."""
    sigma = rng.uniform(NARROW_PX, WIDE_PX / 2)
    noise = rng.standard_normal(shape, np.float32)
    passed = _blur(noise, sigma) - _blur(noise, 2 * sigma)
    return passed / np.float32(max(float(passed.std()), 1e-6))


def specks(shape: tuple[int, ...], rng: np.random.Generator, config: PhaseConfig) -> Floats:
    """Specks of one size with a ring of the opposite sign, bright and dark ones together."""
    most = max(round(config.debris_most * shape[0] * shape[1] / 256**2), 1)
    count = int(rng.integers(1, most, endpoint=True))
    sigma = rng.uniform(0.8, 2.5)
    points = np.zeros(shape, np.float32)
    y, x = rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)
    points[y, x] = rng.uniform(-1, 1, count) * config.debris_strength * 2 * np.pi * sigma**2
    return _blur(points, sigma) - np.float32(DEBRIS_RING) * _blur(points, 2 * sigma)


def _blur(values: Floats, sigma: float) -> Floats:
    blurred = np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
    return blurred.reshape(values.shape)
