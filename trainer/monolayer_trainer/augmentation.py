"""Random changes to training crops: of brightness, colour and sharpness here, of shape and place in `geometry`.

All of them are cheap: what maps one value to another is gathered into one lookup table, what is added or multiplied
per pixel into one pass. Images are uint8 ``(y, x, c)`` with c = 1 or 3, after normalisation, because that is what the
network is given when it serves.
"""

from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from monolayer_core.arrays import ImageUInt8
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.phase_augmentation import PhaseConfig
from monolayer_trainer.stain import jitter_stain

Probability = Annotated[float, Field(ge=0, le=1)]

LUMINANCE = np.array([[0.299, 0.587, 0.114]] * 3, np.float32)
"""Rows of the matrix that turns RGB into grey (ITU-R BT.601), once for each channel."""


class AugmentationConfig(BaseModel):
    """How often each change is made, and how strongly. Probabilities are per crop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plain: Probability = Field(0.0, description="share of crops that are mirrored and turned and nothing else")
    native: Probability = Field(0.35, description="leave the magnification as it is: no interpolated pixels")
    scale_low: float = Field(0.3, gt=0, description="smallest magnification otherwise; drawn log-uniformly")
    scale_high: float = Field(2.0, gt=0, description="largest magnification")
    least_object_px: float = Field(6.0, ge=0, description="objects are not shrunk below this median diameter")
    flip: Probability = Field(0.5, description="mirror left to right")
    turn: Probability = Field(0.75, description="turn by 90, 180 or 270 degrees")
    elastic: Probability = Field(0.15, description="bend smoothly")
    elastic_px: float = Field(6.0, ge=0, description="standard deviation of the bending, in pixels of the crop")
    invert: Probability = Field(0.15, description="exchange bright and dark")
    grey: Probability = Field(0.2, description="take the colour away")
    permute_channels: Probability = Field(0.2, description="exchange red, green and blue")
    stain: Probability = Field(0.35, description="change haematoxylin, eosin and the rest separately")
    stain_strength: float = Field(0.4, ge=0, lt=1, description="largest relative change of a stain's amount")
    channel_gain: Probability = Field(0.2, description="brighten or darken each colour by itself")
    channel_gain_strength: float = Field(0.2, ge=0, lt=1, description="largest relative change of a colour")
    brightness: Probability = Field(0.4, description="add the same value everywhere")
    brightness_strength: float = Field(0.15, ge=0, le=1, description="largest addition, as a part of the full range")
    contrast: Probability = Field(0.5, description="stretch or squeeze the values around their mean")
    contrast_strength: float = Field(0.5, ge=0, lt=1, description="largest relative change of the contrast")
    gamma: Probability = Field(0.5, description="bend the grey values")
    gamma_high: float = Field(2.0, ge=1, description="largest exponent; the smallest is its inverse")
    gradient: Probability = Field(0.2, description="uneven illumination: a gain that rises across the crop")
    gradient_strength: float = Field(0.5, ge=0, lt=1, description="largest relative change at the crop's edge")
    blur: Probability = Field(0.2, description="Gaussian blur")
    blur_px: float = Field(1.5, gt=0, description="largest standard deviation of the blur, in pixels")
    noise: Probability = Field(0.3, description="noise of the camera (Gaussian) and of the light (Poisson)")
    noise_strength: float = Field(12.0, ge=0, description="largest standard deviation of either, of 255")
    dense: DenseConfig | None = Field(None, description="fill crops with more cells; None never does")
    phase: PhaseConfig | None = Field(None, description="phase contrast of other microscopes; None for other images")

    @model_validator(mode="after")
    def _check(self) -> "AugmentationConfig":
        if self.scale_low > self.scale_high:
            raise ValueError("scale_low must not exceed scale_high")
        return self

    def drawn(self, rng: np.random.Generator) -> "AugmentationConfig":
        """Draw what is done to one crop: all of this, or next to nothing."""
        if not self.plain or rng.random() >= self.plain:
            return self
        return self.none().model_copy(update={"flip": self.flip, "turn": self.turn})

    @classmethod
    def none(cls) -> "AugmentationConfig":
        """Change nothing: plain crops at the size of the image."""
        return cls(
            native=1,
            scale_low=1,
            scale_high=1,
            flip=0,
            turn=0,
            elastic=0,
            invert=0,
            grey=0,
            permute_channels=0,
            stain=0,
            channel_gain=0,
            brightness=0,
            contrast=0,
            gamma=0,
            gradient=0,
            blur=0,
            noise=0,
        )


def augment_intensity(image: ImageUInt8, rng: np.random.Generator, config: AugmentationConfig) -> ImageUInt8:
    """Change brightness, colour, sharpness and noise of one crop; uint8 ``(y, x, c)`` in and out."""
    if image.shape[2] == 3:
        image = _change_colour(image, rng, config)
    image = _apply_table(image, _value_table(image, rng, config))
    if rng.random() < config.blur:
        sigma = rng.uniform(0.3, max(config.blur_px, 0.3))
        image = _with_channels(cv2.GaussianBlur(image, (0, 0), sigma))
    with_gradient, with_noise = rng.random(2) < (config.gradient, config.noise)
    if with_gradient or with_noise:
        values = image.astype(np.float32)
        if with_gradient:
            values *= _gradient(image.shape[0], image.shape[1], rng, config.gradient_strength)[..., None]
        if with_noise:
            values += _noise(values, rng, config.noise_strength)
        image = np.clip(values + 0.5, 0, 255, out=values).astype(np.uint8)
    return image


def _change_colour(image: ImageUInt8, rng: np.random.Generator, config: AugmentationConfig) -> ImageUInt8:
    if rng.random() < config.stain:
        image = jitter_stain(image, rng, config.stain_strength)
    if rng.random() < config.permute_channels:
        image = np.ascontiguousarray(image[..., rng.permutation(3)])
    if rng.random() < config.grey:
        image = cv2.transform(image, LUMINANCE).astype(np.uint8, copy=False)
    return image


def _value_table(image: ImageUInt8, rng: np.random.Generator, config: AugmentationConfig) -> npt.NDArray[np.uint8]:
    """One table (256, c) for everything that maps a value to a value."""
    channels = image.shape[2]
    values = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[:, None], channels, axis=1)
    if rng.random() < config.invert:
        values = 1 - values
    if rng.random() < config.gamma:
        values **= config.gamma_high ** rng.uniform(-1, 1)
    if rng.random() < config.contrast:
        mean = values[round(float(image[::4, ::4].mean())), 0]
        values = mean + (values - mean) * (1 + rng.uniform(-1, 1) * config.contrast_strength)
    if channels == 3 and rng.random() < config.channel_gain:
        values *= 1 + rng.uniform(-1, 1, 3) * config.channel_gain_strength
    if rng.random() < config.brightness:
        values += rng.uniform(-1, 1) * config.brightness_strength
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _apply_table(image: ImageUInt8, table: npt.NDArray[np.uint8]) -> ImageUInt8:
    return _with_channels(cv2.LUT(image, table.reshape(1, 256, -1) if table.shape[1] > 1 else table.reshape(1, 256)))


def _with_channels(image: npt.ArrayLike) -> ImageUInt8:
    """Put back the last axis, which OpenCV drops from images of one channel."""
    values = np.asarray(image, np.uint8)
    return values if values.ndim == 3 else values[..., None]


def _gradient(height: int, width: int, rng: np.random.Generator, strength: float) -> npt.NDArray[np.float32]:
    """Gain (y, x) that rises in a random direction from 1 - s to 1 + s across the crop."""
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, strength)
    y = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle) * slope)
    x = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle) * slope)
    return np.asarray(1 + (y[:, None] + x[None, :]) / np.sqrt(2), np.float32)


def _noise(values: npt.NDArray[np.float32], rng: np.random.Generator, strength: float) -> npt.NDArray[np.float32]:
    """Noise (y, x, 1), the same in all channels.

    Camera noise has one standard deviation everywhere; that of the light (Poisson, here by its normal approximation)
    grows with the square root of the brightness.
    """
    camera, light = rng.uniform(0, strength, 2).astype(np.float32)
    brightness = np.clip(values.mean(axis=2, keepdims=True), 0, 255)
    plane = rng.standard_normal((*values.shape[:2], 1), np.float32)
    return np.asarray(plane * np.sqrt(camera**2 + light**2 * brightness / 255), np.float32)
