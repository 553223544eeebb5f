"""The U-Net of TensorFlow's segmentation tutorial: MobileNetV2 (Sandler et al. 2018) going down, pix2pix going up.

It takes images of 128x128 RGB pixels alone. Small data sets profit from an encoder that has seen ImageNet.
"""

import logging

import keras
from keras import layers

from monolayer_trainer.networks.unet import NORM_MOMENTUM, Tensor

SIDE = 128
"""Height and width of the images, in pixels."""

SKIP_LAYERS = ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")
"""Layers whose output is handed across, at 64, 32, 16 and 8 pixels."""

BOTTOM_LAYER = "block_16_project"
"""The coarsest features: 4x4 pixels."""

UP_WIDTHS = (512, 256, 128, 64)

log = logging.getLogger(__name__)


def build_mobilenet_unet(*, outputs: int, imagenet: bool = True) -> keras.Model:
    """Build the network; with three outputs it has 6,504,227 parameters.

    Parameters
    ----------
    outputs
        Number of logits per pixel.
    imagenet
        Start from weights trained on ImageNet, fetched by Keras. Where they cannot be had the network starts from
        random weights, and the log says so.

    Returns
    -------
    keras.Model
        ``(n, 128, 128, 3)`` with values 0 to 255 in, float32 logits ``(n, 128, 128, outputs)`` out.
    """
    image = keras.Input((SIDE, SIDE, 3), name="image")
    # MobileNetV2 was trained on values from -1 to 1.
    features = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit_range")(image)

    encoder = build_encoder(imagenet=imagenet)
    *skips, features = encoder(features)
    for index, width in enumerate(UP_WIDTHS):
        features = enlarge(features, width, name=f"up{index}")
        features = layers.Concatenate(name=f"up{index}_join")([features, skips[-1 - index]])

    logits = layers.Conv2DTranspose(outputs, 3, strides=2, padding="same", dtype="float32", name="logits")(features)
    return keras.Model(image, logits, name="mobilenet_unet")


def build_encoder(*, imagenet: bool) -> keras.Model:
    """MobileNetV2 from an image ``(n, 128, 128, 3)`` in -1 to 1 to its features, finest first."""
    try:
        base = keras.applications.MobileNetV2(
            input_shape=(SIDE, SIDE, 3), include_top=False, weights="imagenet" if imagenet else None
        )
    except Exception as error:  # noqa: BLE001 - Keras turns every failed download into a bare Exception
        log.warning("no ImageNet weights (%s): the encoder starts from random weights", error)
        base = keras.applications.MobileNetV2(input_shape=(SIDE, SIDE, 3), include_top=False, weights=None)
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):
            # MobileNetV2's own 0.999 needs thousands of steps before the running statistics mean anything.
            layer.momentum = NORM_MOMENTUM
    taps = [base.get_layer(name).output for name in (*SKIP_LAYERS, BOTTOM_LAYER)]
    return keras.Model(base.input, taps, name="encoder")


def enlarge(features: Tensor, width: int, *, name: str) -> Tensor:
    """Twice the height and width by a learned 3x3 transposed convolution, normalised."""
    features = layers.Conv2DTranspose(
        width, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(features)
    features = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm")(features)
    return layers.ReLU(name=f"{name}_relu")(features)
