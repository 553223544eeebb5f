"""The networks: their sizes, their outputs, and that what is kept answers as what was trained."""

import keras
import numpy as np
import pytest
from keras import layers

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.networks import precision
from monolayer_trainer.networks.build import build_network
from monolayer_trainer.networks.inference import build_inference_network
from monolayer_trainer.networks.mobilenet_unet import build_mobilenet_unet
from monolayer_trainer.networks.precision import (
    bfloat16_is_faster,
    convolution_seconds,
    dtype_policy,
    training_policy,
)
from monolayer_trainer.networks.unet import build_unet

TOY = TrainConfig(base_width=4, depth=2, crop_side=64)


def image(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, height, width, channels)).astype(np.float32)


def test_the_mobilenet_unet_of_the_tutorial_has_6504227_parameters_for_three_outputs():
    assert build_mobilenet_unet(outputs=3, imagenet=False).count_params() == 6_504_227


def test_the_unet_of_base_width_16_has_1_95_million_parameters():
    assert build_unet(channels=3, outputs=4).count_params() == 1_946_292


def test_doubling_the_base_width_quadruples_the_parameters_roughly():
    small, large = (build_unet(channels=3, outputs=4, base_width=width).count_params() for width in (16, 32))
    assert large / small == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 48), (4, 100)], ids=str)
def test_the_unet_answers_at_the_size_of_the_image(height, width):
    network = build_unet(channels=1, outputs=2, base_width=4, depth=2)
    assert network(image(height, width, 1)).shape == (1, height, width, 2)


def test_the_unet_sees_values_from_0_to_255_on_the_unit_range():
    network = build_unet(channels=1, outputs=2, base_width=4, depth=2)
    scaled = network.get_layer("to_unit_range")(np.full((1, 4, 4, 1), 255.0))
    assert np.allclose(scaled, 1.0)


def test_the_mobilenet_unet_sees_values_from_0_to_255_between_minus_one_and_one():
    scaled = build_mobilenet_unet(outputs=3, imagenet=False).get_layer("to_unit_range")(np.array([[0.0, 255.0]]))
    assert np.allclose(scaled, [[-1.0, 1.0]])


def test_dropout_is_used_at_the_coarsest_levels_alone():
    network = build_unet(channels=1, outputs=2, base_width=4, depth=3, dropout=0.5)
    assert [layer.name for layer in network.layers if "dropout" in layer.name] == ["down2_dropout", "bottom_dropout"]


@pytest.mark.parametrize(
    ("change", "outputs"),
    [({}, 3), ({"distance": False}, 2), ({"kind": "semantic", "distance": False}, 1)],
    ids=["class, boundary, distance", "class, boundary", "class"],
)
def test_the_kept_network_gives_probabilities_without_the_background(change, outputs):
    config = TrainConfig.model_validate(TOY.model_dump() | change)
    network = build_inference_network(config, 1)
    answer = np.asarray(network(image(32, 32)))
    assert answer.shape == (1, 32, 32, outputs)
    assert answer.min() >= 0
    assert answer.max() <= 1


def test_the_kept_network_answers_with_softmax_and_sigmoid_of_the_logits():
    network, kept = build_network(TOY, 2), build_inference_network(TOY, 2)
    kept.set_weights(network.get_weights())
    logits = np.asarray(network(image(32, 32)), np.float64)
    exponentials = np.exp(logits[..., :4])
    softmax = exponentials / exponentials.sum(axis=-1, keepdims=True)
    expected = np.concatenate([softmax[..., 1:], 1 / (1 + np.exp(-logits[..., 4:]))], axis=-1)
    np.testing.assert_allclose(kept(image(32, 32)), expected, atol=1e-6)


def test_the_network_trained_in_bfloat16_is_kept_in_float32():
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        network = build_network(TOY, 1)
        kept = build_inference_network(TOY, 1)
        assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    kept.set_weights(network.get_weights())
    assert {layer.compute_dtype for layer in network.layers if isinstance(layer, layers.Conv2D)} >= {"bfloat16"}
    assert {layer.compute_dtype for layer in kept.layers} == {"float32"}
    # The logits are made in float32 of features in bfloat16: eight bits of mantissa, amplified by the layers between.
    assert network.output.dtype == "float32"


def test_the_kept_network_survives_its_file_without_custom_objects(tmp_path):
    kept = build_inference_network(TOY, 1)
    kept.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded(image(32, 48)), kept(image(32, 48)))


def test_without_imagenet_weights_the_network_starts_from_random_ones_and_says_so(monkeypatch, caplog):
    build = keras.applications.MobileNetV2

    def unreachable(*, weights, **options):
        if weights is not None:
            raise Exception("URL fetch failure")  # noqa: TRY002 - what Keras raises
        return build(weights=None, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", unreachable)
    assert build_mobilenet_unet(outputs=3, imagenet=True).count_params() == 6_504_227
    assert "no ImageNet weights (URL fetch failure): the encoder starts from random weights" in caplog.text


def test_the_kept_network_does_not_fetch_imagenet_weights_again(monkeypatch):
    asked = []
    build = keras.applications.MobileNetV2

    def watched(*, weights, **options):
        asked.append(weights)
        return build(weights=weights, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV2", watched)
    build_inference_network(TrainConfig(architecture="mobilenet-unet", crop_side=128, imagenet=True), 1)
    assert asked == [None]


def test_the_former_precision_is_back_though_building_failed():
    former = keras.mixed_precision.dtype_policy().name
    with pytest.raises(ValueError, match="no network"), dtype_policy("mixed_bfloat16"):
        raise ValueError("no network")
    assert keras.mixed_precision.dtype_policy().name == former == "float32"


@pytest.mark.parametrize(
    ("seconds", "asked", "policy"),
    [
        ({"float32": 0.03, "bfloat16": 0.02}, None, "mixed_bfloat16"),
        ({"float32": 0.03, "bfloat16": 0.5}, None, "float32"),
        ({"float32": 0.03, "bfloat16": 0.5}, True, "mixed_bfloat16"),
        ({"float32": 0.03, "bfloat16": 0.02}, False, "float32"),
    ],
)
def test_the_machine_decides_on_the_precision_unless_it_is_asked_for(seconds, asked, policy, monkeypatch):
    bfloat16_is_faster.cache_clear()
    monkeypatch.setattr(precision, "convolution_seconds", seconds.__getitem__)
    try:
        assert training_policy(asked) == policy
    finally:
        bfloat16_is_faster.cache_clear()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_convolutions_can_be_tried_in_both_precisions(dtype):
    assert convolution_seconds(dtype) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_side": 100, "depth": 4}, "multiple of 16"),
        ({"architecture": "mobilenet-unet", "crop_side": 256}, "128"),
        ({"architecture": "mobilenet-unet", "crop_side": 128, "channels": "grey"}, "RGB"),
        ({"kind": "semantic"}, "no distance"),
        ({"learning_rat": 1}, "learning_rat"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_built_is_refused_with_advice(change, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.model_validate(change)
