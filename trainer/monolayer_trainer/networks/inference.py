"""From the network that is trained to the one that is kept: float32, probabilities, no background."""

import keras
from keras import layers, ops

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.networks.build import build_network
from monolayer_trainer.networks.precision import dtype_policy


def build_inference_network(config: TrainConfig, classes: int) -> keras.Model:
    """Build the network whose outputs are those of the model card.

    It is built under float32 whatever precision the training uses, because half-precision convolutions cannot be
    exported. Operations are chosen for a plain ONNX graph: splitting a tensor becomes one Split, where slicing would
    become several operators.

    Parameters
    ----------
    config
        As the network to be kept was trained.
    classes
        Number of object classes.

    Returns
    -------
    keras.Model
        ``(n, y, x, channels)`` float32 holding 0 to 255 in; probabilities ``(n, y, x, outputs)`` out: the classes, then
        the boundary, then the distance, as far as the configuration has them.
    """
    with dtype_policy("float32"):
        # Its weights are those of the trained network, so ImageNet's need not be fetched a second time.
        network = build_network(config.model_copy(update={"imagenet": False}), classes)
        scores, distance = network.output, None
        if config.distance:
            scores, distance = ops.split(network.output, [config.category_count(classes)], axis=-1)
        probabilities = layers.Softmax(name="probabilities")(scores)
        _, answer = ops.split(probabilities, [1], axis=-1)
        if distance is not None:
            answer = layers.Concatenate(name="answer")(
                [answer, layers.Activation("sigmoid", name="distance")(distance)]
            )
        return keras.Model(network.input, answer, name=f"{network.name}_inference")
