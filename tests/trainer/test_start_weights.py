"""A network that starts from another answers as it does, whatever it is then to learn."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from monolayer_core.model_card import Output
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.fit import fit
from monolayer_trainer.networks.inference import build_inference_network
from monolayer_trainer.networks.start import apply_start_weights
from monolayer_trainer.networks.unet import build_unet
from monolayer_trainer.run_folder import RunError, RunFolder
from monolayer_trainer.start_weights import Convolution, StartWeights, read_start_weights, refuse_unlike
from monolayer_trainer.tables import read_rows

TOY = TrainConfig(
    name="toy",
    base_width=4,
    depth=2,
    crop_side=32,
    batch_size=2,
    epochs=1,
    steps_per_epoch=8,
    tuning_fraction=0.25,
    mixed_precision=False,
)
OUTPUTS = (Output(name="disc", role="class"), Output(name="boundary", role="boundary"))
CROPS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def data(disc_dataset, tmp_path_factory):
    return disc_dataset(tmp_path_factory.mktemp("data"), count=8, size=(48, 64), discs=2)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return fit(data, tmp_path_factory.mktemp("runs") / "toy", TOY)


def weights_of(outputs: int, channels: int = 3) -> StartWeights:
    """Random convolutions in the shapes of a small U-Net."""
    rng = np.random.default_rng(1)
    network = build_unet(channels=channels, outputs=outputs, base_width=4, depth=1)
    shapes = [tuple(layer.kernel.shape) for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    convolutions = tuple(
        Convolution(rng.normal(0, 0.3, shape).astype(np.float32), rng.normal(0, 0.3, shape[3]).astype(np.float32))
        for shape in shapes
    )
    return StartWeights("elsewhere", convolutions, OUTPUTS[: outputs - 1])


def answer(network: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(network(images.astype(np.float32), training=False))


def plain_answer(start: StartWeights, images: np.ndarray) -> np.ndarray:
    """The same convolutions in a network whose normalisations do nothing."""
    network = build_unet(channels=images.shape[3], outputs=start.convolutions[-1].bias.size, base_width=4, depth=1)
    convolutions = iter(start.convolutions)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            convolution = next(convolutions)
            layer.set_weights([convolution.kernel] if layer.bias is None else [convolution.kernel, convolution.bias])
            if layer.bias is None:
                norm = network.get_layer(layer.name.replace("_conv", "_norm"))
                one = np.ones_like(convolution.bias)
                norm.set_weights([one, convolution.bias, 0 * one, one - norm.epsilon])
    return answer(network, images)


def test_unfolding_the_normalisations_changes_no_answer_and_gives_them_the_statistics_of_the_crops():
    start = weights_of(3)
    network = build_unet(channels=3, outputs=3, base_width=4, depth=1)
    apply_start_weights(network, start, OUTPUTS, CROPS)
    np.testing.assert_allclose(answer(network, CROPS), plain_answer(start, CROPS), rtol=1e-3, atol=1e-3)

    convolved = keras.Model(network.input, network.get_layer("down0_conv1").output)
    features = answer(convolved, CROPS)
    _, _, mean, variance = network.get_layer("down0_norm1").get_weights()
    np.testing.assert_allclose(mean, features.mean(axis=(0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(variance, features.var(axis=(0, 1, 2)), rtol=1e-3)


def test_in_training_the_network_answers_as_before_on_the_crops_it_was_measured_on():
    network = build_unet(channels=3, outputs=3, base_width=4, depth=1)
    apply_start_weights(network, weights_of(3), OUTPUTS, CROPS)
    in_training = np.asarray(network(CROPS.astype(np.float32), training=True))
    np.testing.assert_allclose(in_training, answer(network, CROPS), rtol=1e-2, atol=1e-2)


def test_a_grey_network_answers_to_grey_as_the_colour_network_to_equal_colours():
    start = weights_of(3)
    network = build_unet(channels=1, outputs=3, base_width=4, depth=1)
    apply_start_weights(network, start, OUTPUTS, CROPS[..., :1])
    grey = np.repeat(CROPS[..., :1], 3, axis=3)
    np.testing.assert_allclose(answer(network, CROPS[..., :1]), plain_answer(start, grey), rtol=1e-3, atol=1e-3)


def test_each_output_starts_from_the_one_of_its_role():
    start = weights_of(3)
    outputs = (
        Output(name="rbc", role="class"),
        Output(name="wbc", role="class"),
        Output(name="boundary", role="boundary"),
        Output(name="distance", role="distance"),
    )
    network = build_unet(channels=3, outputs=5, base_width=4, depth=1)
    drawn = network.get_layer("logits").get_weights()[0][..., 4].copy()
    apply_start_weights(network, start, outputs, CROPS)
    kernel, bias = network.get_layer("logits").get_weights()
    last = start.convolutions[-1]
    for index, origin in enumerate((0, 1, 1, 2)):
        np.testing.assert_array_equal(kernel[..., index], last.kernel[..., origin])
        assert bias[index] == last.bias[origin]
    np.testing.assert_array_equal(kernel[..., 4], drawn)


def test_a_class_starts_from_the_class_of_its_name():
    old = (Output(name="rbc", role="class"), Output(name="wbc", role="class"))
    start = StartWeights("elsewhere", weights_of(3).convolutions, old)
    network = build_unet(channels=3, outputs=2, base_width=4, depth=1)
    apply_start_weights(network, start, (Output(name="wbc", role="class"),), CROPS)
    np.testing.assert_array_equal(
        network.get_layer("logits").get_weights()[0][..., 1], start.convolutions[-1].kernel[..., 2]
    )


def test_a_run_begins_with_the_answers_of_the_run_it_starts_from(trained, data, tmp_path: Path):
    still = TOY.model_copy(update={"start_from": str(trained.path), "learning_rate": 1e-9, "steps_per_epoch": 1})
    folder = fit(data, tmp_path / "more", still)
    image = np.random.default_rng(3).integers(0, 256, (1, 32, 48, 3)).astype(np.float32)
    before, after = (np.asarray(keras.saving.load_model(run.model, compile=False)(image)) for run in (trained, folder))
    np.testing.assert_allclose(after, before, atol=0.05)
    fresh = np.asarray(build_inference_network(TOY, 1)(image))
    assert np.abs(fresh - before).mean() > 4 * np.abs(after - before).mean()


def test_a_run_lists_the_images_of_the_run_it_starts_from(trained, data, tmp_path: Path):
    earlier = tmp_path / "earlier"
    shutil.copytree(trained.path, earlier)
    with RunFolder(earlier).images.open("a", encoding="utf-8") as file:
        file.write("elsewhere7,g,unknown,training\n")
    folder = fit(data, tmp_path / "more", TOY.model_copy(update={"start_from": str(earlier), "steps_per_epoch": 1}))
    uses = {row["ImageId"]: row["use"] for row in read_rows(folder.images)}
    assert uses.pop("elsewhere7") == "before"
    assert set(uses.values()) == {"training", "tuning"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_width": 8}, "--base-width 4 --depth 2"),
        ({"depth": 1}, "--base-width 4 --depth 2"),
        ({"architecture": "mobilenet-unet", "crop_side": 128}, "only a U-Net"),
    ],
    ids=["another width", "another depth", "another network"],
)
def test_what_has_other_layers_is_refused_before_anything_is_written(trained, data, tmp_path, changes, message):
    config = TrainConfig.model_validate(TOY.model_dump() | {"start_from": str(trained.path)} | changes)
    with pytest.raises(RunError, match=message):
        fit(data, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_neither_run_nor_bundle_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match=r"neither model\.keras nor model\.onnx"):
        refuse_unlike(tmp_path, TOY)


def test_a_graph_of_other_layers_is_refused():
    short = StartWeights("elsewhere", weights_of(3).convolutions[:-1], OUTPUTS)
    with pytest.raises(RunError, match="other shapes"):
        apply_start_weights(build_unet(channels=3, outputs=3, base_width=4, depth=1), short, OUTPUTS, CROPS)


def test_the_folded_convolutions_of_a_run_are_those_of_its_network(trained):
    start = read_start_weights(trained.path)
    network = build_unet(channels=3, outputs=4, base_width=4, depth=2)
    apply_start_weights(network, start, start.outputs, CROPS)
    kept = build_inference_network(TOY, 1)
    kept.set_weights(network.get_weights())
    original = keras.saving.load_model(trained.model, compile=False)
    np.testing.assert_allclose(answer(kept, CROPS), answer(original, CROPS), atol=1e-4)
