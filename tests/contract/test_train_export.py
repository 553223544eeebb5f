"""The trainer's networks, as they are built for keeping, become the graphs that the service runs."""

import numpy as np
import pytest

from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_export.convert import keras_predict
from monolayer_export.export import build_graph
from monolayer_export.graph import count_operators
from monolayer_export.parity import check_parity, compare, parity_cases
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.networks.inference import build_inference_network

pytestmark = pytest.mark.filterwarnings(
    # Keras turns its variables into arrays through numpy's old protocol.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
)

IMAGE = np.random.default_rng(0).integers(0, 256, (130, 150, 3), dtype=np.uint8)


def card_of(config: TrainConfig, *outputs: Output, **changes: object) -> ModelCard:
    return ModelCard(
        name="toy",
        version="1",
        task=config.kind,
        confluency_of="nucleus",
        channels=config.channels,
        outputs=outputs,
        divisor=config.divisor,
        halo=32,
        training_data=TrainingData(name="made up", licence="CC0-1.0", source="tests", images=0, objects=0),
        **changes,
    )


def train_a_little(network) -> None:
    """Give every normalisation statistics of its own: fresh ones do nothing and hide a mistake in folding them."""
    random = np.random.default_rng(0)
    for layer in network._flatten_layers():
        if layer.__class__.__name__ == "BatchNormalization":
            scale, offset, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, scale.shape),
                    random.normal(0.0, 0.2, offset.shape),
                    random.normal(0.0, 0.2, mean.shape),
                    random.uniform(0.5, 1.5, variance.shape),
                ]
            )


def test_the_plain_unet_exports_without_glue_and_with_equal_answers() -> None:
    config = TrainConfig(base_width=8)
    card = card_of(
        config,
        Output(name="nucleus", role="class"),
        Output(name="border", role="boundary"),
        Output(name="distance", role="distance"),
        tile_sides=(128,),
    )
    network = build_inference_network(config, 1)
    train_a_little(network)

    model = build_graph(network, card)

    operators = count_operators(model)
    assert {"Shape", "Slice", "Tile", "BatchNormalization"} & set(operators) == set()
    assert operators["Transpose"] == 2
    assert operators["Conv"] == 23
    assert operators["DepthToSpace"] == 4
    check_parity([compare(model, keras_predict(network), case) for case in parity_cases(card, [IMAGE])])


def test_the_mobilenet_unet_exports_at_its_one_size() -> None:
    config = TrainConfig(architecture="mobilenet-unet", imagenet=False, crop_side=128, kind="semantic", distance=False)
    card = card_of(
        config,
        Output(name="rbc", role="class"),
        Output(name="wbc", role="class"),
        tile_sides=(128,),
        dynamic_size=False,
    )
    network = build_inference_network(config, 2)
    train_a_little(network)

    model = build_graph(network, card)

    shape = model.graph.input[0].type.tensor_type.shape.dim
    operators = count_operators(model)
    assert [dimension.dim_param or dimension.dim_value for dimension in shape] == ["n", 128, 128, 3]
    assert {"Shape", "Slice", "Tile", "BatchNormalization"} & set(operators) == set()
    assert (operators["Transpose"], operators["Conv"], operators["ConvTranspose"]) == (2, 51, 5)
    check_parity([compare(model, keras_predict(network), case) for case in parity_cases(card, [IMAGE])])
