"""The network a configuration asks for."""

import keras

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.networks.mobilenet_unet import build_mobilenet_unet
from monolayer_trainer.networks.unet import build_unet


def build_network(config: TrainConfig, classes: int) -> keras.Model:
    """Build the network to train, under the dtype policy in force.

    Parameters
    ----------
    config
        What to build.
    classes
        Number of object classes.

    Returns
    -------
    keras.Model
        ``(n, y, x, channels)`` with values 0 to 255 in; float32 logits ``(n, y, x, outputs)`` out: background, the
        classes, the boundary (for instances) and the distance (where asked for).
    """
    outputs = config.category_count(classes) + (1 if config.distance else 0)
    if config.architecture == "mobilenet-unet":
        return build_mobilenet_unet(outputs=outputs, imagenet=config.imagenet)
    return build_unet(
        channels=config.channel_count,
        outputs=outputs,
        base_width=config.base_width,
        depth=config.depth,
        dropout=config.dropout,
    )
