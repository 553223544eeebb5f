"""The plain U-Net of Ronneberger, Fischer and Brox (2015), read from top to bottom.

It differs from the paper in three places: convolutions keep the size, so that the answer lies on the image; each is
followed by batch normalisation; and features are enlarged by a 1x1 convolution with a rearrangement of channels into
pixels (Shi et al. 2016), which converts to ONNX without any helper operator whatever the image's size.
"""

from typing import Any

import keras
from keras import layers, ops

Tensor = Any
"""A symbolic Keras tensor ``(n, y, x, channel)``."""

NORM_MOMENTUM = 0.9
"""Of the running mean and variance. Keras' own 0.99 lags hundreds of steps behind; early scores would say nothing."""


def build_unet(
    *, channels: int, outputs: int, base_width: int = 16, depth: int = 4, dropout: float = 0.0
) -> keras.Model:
    """Build a U-Net that takes images of any size divisible by ``2**depth``.

    Parameters
    ----------
    channels
        Channels of the image: 1 for grey, 3 for RGB.
    outputs
        Number of logits per pixel.
    base_width
        Feature channels at full resolution; doubled at each of the `depth` levels below. Multiples of 16 run fastest.
    depth
        How often the image is halved.
    dropout
        Fraction of features dropped at the coarsest level and one above it while training.

    Returns
    -------
    keras.Model
        ``(n, y, x, channels)`` with values 0 to 255 in, float32 logits ``(n, y, x, outputs)`` out.
    """
    image = keras.Input((None, None, channels), name="image")
    features = layers.Rescaling(1 / 255, name="to_unit_range")(image)

    skips = []
    for level in range(depth):
        rate = dropout if level == depth - 1 else 0.0
        features = double_convolution(features, base_width * 2**level, name=f"down{level}", dropout=rate)
        skips.append(features)
        features = layers.MaxPooling2D(name=f"down{level}_halve")(features)

    features = double_convolution(features, base_width * 2**depth, name="bottom", dropout=dropout)

    for level in reversed(range(depth)):
        width = base_width * 2**level
        features = enlarge(features, width, name=f"up{level}")
        features = layers.Concatenate(name=f"up{level}_join")([skips[level], features])
        features = double_convolution(features, width, name=f"up{level}")

    # float32 whatever the policy: probabilities near 0 and 1 need more than eight bits of mantissa.
    logits = layers.Conv2D(outputs, 1, dtype="float32", name="logits")(features)
    return keras.Model(image, logits, name="unet")


def double_convolution(features: Tensor, width: int, *, name: str, dropout: float = 0.0) -> Tensor:
    """Two 3x3 convolutions, each with batch normalisation and ReLU, then dropout of whole channels."""
    for index in (1, 2):
        features = layers.Conv2D(
            width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv{index}"
        )(features)
        features = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm{index}")(features)
        features = layers.ReLU(name=f"{name}_relu{index}")(features)
    return layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(features) if dropout else features


def enlarge(features: Tensor, width: int, *, name: str) -> Tensor:
    """Twice the height and width: four times `width` channels by a 1x1 convolution, rearranged into 2x2 pixels."""
    features = layers.Conv2D(4 * width, 1, kernel_initializer="he_normal", name=f"{name}_spread")(features)
    return ops.depth_to_space(features, 2)
