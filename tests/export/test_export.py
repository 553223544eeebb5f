"""From a training run to a bundle with a real Keras network; one toy U-Net for the whole file."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from monolayer_core.errors import BundleError
from monolayer_core.model_card import ModelCard, read_card, write_card
from monolayer_core.tiling import plan_tiles, predict_tiled
from monolayer_export.canonical import to_bytes
from monolayer_export.convert import keras_predict
from monolayer_export.errors import ExportError, ParityError
from monolayer_export.export import ExportReport, build_graph, export_run
from monolayer_export.graph import count_operators
from monolayer_export.parity import quantize
from monolayer_export.session import onnx_predict

pytestmark = pytest.mark.filterwarnings(
    # Keras turns its variables into arrays through numpy's old protocol.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
)


def save_run(folder: Path, network, card: ModelCard) -> Path:
    """Leave a network and the draft of its card as the trainer does."""
    folder.mkdir()
    network.save(folder / "model.keras")
    write_card(card, folder)
    return folder


@pytest.fixture
def toy_run(tmp_path: Path, toy_network, toy_card: ModelCard) -> Path:
    return save_run(tmp_path / "run", toy_network, toy_card)


@dataclass
class Exported:
    bundle: Path
    report: ExportReport
    steps: list[str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, toy_network, toy_card: ModelCard) -> Exported:
    """One whole export for all tests that look at its result."""
    folder = tmp_path_factory.mktemp("exported")
    run, bundle, steps = save_run(folder / "run", toy_network, toy_card), folder / "nuclei", []
    report = export_run(run, bundle, name="nuclei", version="2.0.0", announce=steps.append)
    return Exported(bundle, report, steps)


@pytest.fixture(scope="module")
def model(toy_network, toy_card: ModelCard) -> onnx.ModelProto:
    return build_graph(toy_network, toy_card)


def test_a_plain_unet_becomes_convolutions_and_nothing_that_depends_on_sizes(model: onnx.ModelProto) -> None:
    operators = count_operators(model)

    assert operators["Transpose"] == 2
    assert set(operators) == {
        "Transpose", "Cast", "Mul", "Conv", "Relu", "MaxPool", "DepthToSpace", "Concat", "Split",
        "ReduceMax", "Sub", "Exp", "ReduceSum", "Div", "Sigmoid", "Add",
    }  # fmt: skip


def test_the_same_network_gives_the_same_bytes(toy_run: Path, toy_card: ModelCard, model, keras) -> None:
    loaded = keras.saving.load_model(toy_run / "model.keras")  # under other layer names than the one in memory

    assert to_bytes(build_graph(loaded, toy_card)) == to_bytes(model)


def test_the_card_in_the_bundle_is_complete(exported: Exported) -> None:
    card = read_card(exported.bundle)

    assert card == exported.report.card
    assert (card.name, card.version) == ("nuclei", "2.0.0")
    assert card.halo == exported.report.halo.halo
    assert card.metrics["halo"]["images"] == "synthetic texture"
    assert len(exported.steps) == 6
    assert card.versions.keys() == {"keras", "numpy", "onnx", "onnxruntime", "opset", "tensorflow", "tf2onnx"}


def test_a_run_that_names_its_images_gets_int8_from_them(toy_run: Path, tmp_path: Path, labelled_data: Path) -> None:
    (toy_run / "provenance.json").write_text(json.dumps({"dataset_folder": str(labelled_data)}))
    uses = [f"image{number:02},{'tuning' if number < 2 else 'training'}" for number in range(10)]
    (toy_run / "images.csv").write_text("\n".join(["ImageId,use", *uses]) + "\n")

    report = export_run(toy_run, tmp_path / "bundle")

    card = read_card(tmp_path / "bundle")
    assert card.int8 == report.card.int8
    assert card.int8.calibration_tiles == 8
    assert (card.int8.agreement.images, card.int8.agreement.subset) == (2, "tuning")
    assert card.int8.agreement.kaggle_score is not None
    assert {"model.int8.onnx", "test_output.int8.npy"} < set(card.files)
    assert card.float16 is None


def test_the_stored_answer_is_that_of_the_trained_network(exported: Exported, toy_network) -> None:
    stored = np.load(exported.bundle / "test_input.npy")

    expected = quantize(keras_predict(toy_network)(stored))

    difference = np.abs(np.load(exported.bundle / "test_output.npy").astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 1e-3 * difference.size
    assert expected.std() > 1  # an answer that is the same everywhere would prove nothing


def test_tiles_with_the_measured_halo_give_the_untiled_answer(exported: Exported) -> None:
    card = exported.report.card
    predict = onnx_predict((exported.bundle / "model.onnx").read_bytes())
    image = exported.report.images.images[1]

    plan = plan_tiles(*image.shape[:2], sides=[64], halo=card.halo, divisor=card.divisor)
    tiled = predict_tiled(image, predict, plan, output_count=3, batch_size=8)

    assert exported.report.halo.sufficient
    assert len(plan.tiles) > 100
    agrees = (np.abs(tiled.astype(int) - predict(image[np.newaxis])[0]) <= 1).all(axis=-1)
    assert agrees.mean() >= 0.999


def test_a_network_that_differs_is_not_written_and_the_former_bundle_stays(
    toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "nuclei"
    target.mkdir()
    (target / "model.onnx").write_text("the former one")
    build = build_graph

    def build_with_a_slip(network, card) -> onnx.ModelProto:
        model = build(network, card)
        pooling = next(node for node in model.graph.node if node.op_type == "MaxPool")
        pooling.op_type = "AveragePool"
        return model

    monkeypatch.setattr("monolayer_export.export.build_graph", build_with_a_slip)
    with pytest.raises(ParityError):
        export_run(toy_run, target, force=True)

    assert (target / "model.onnx").read_text() == "the former one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nuclei", "run"]


def test_a_network_in_half_precision_is_refused_with_the_way_out(keras, toy_card: ModelCard) -> None:
    layers = keras.layers
    image = keras.Input((None, None, 3))
    features = layers.Conv2D(4, 1, dtype="mixed_bfloat16")(image)
    network = keras.Model(image, layers.Conv2D(3, 1, activation="softmax", dtype="float32")(features))

    with pytest.raises(ExportError, match="float32 policy"):
        build_graph(network, toy_card)


def test_a_network_that_must_know_the_size_is_refused(keras, toy_card: ModelCard) -> None:
    layers = keras.layers
    image = keras.Input((None, None, 3))
    network = keras.Model(image, layers.UpSampling2D(interpolation="bilinear")(layers.MaxPooling2D()(image)))

    with pytest.raises(ExportError, match="images of any size"):
        build_graph(network, toy_card)


def test_an_operator_that_onnx_does_not_have_is_refused(keras, toy_card: ModelCard) -> None:
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.ops.erfinv(image / 255))

    with pytest.raises(ExportError, match="Erfinv"):
        build_graph(network, toy_card)


def test_a_network_that_does_not_fit_its_card_is_refused(toy_network, toy_card: ModelCard) -> None:
    with pytest.raises(ExportError, match="takes 3 channels, its card says 1"):
        build_graph(toy_network, toy_card.model_copy(update={"channels": "grey"}))
    with pytest.raises(ExportError, match="gives 3 outputs, its card names 2"):
        build_graph(toy_network, toy_card.model_copy(update={"outputs": toy_card.outputs[:2]}))


def test_a_run_is_refused_by_what_it_lacks(toy_run: Path, tmp_path: Path, toy_card: ModelCard) -> None:
    with pytest.raises(BundleError, match="missing"):
        export_run(tmp_path / "nowhere", tmp_path / "a")
    with pytest.raises(ExportError, match="name"):
        export_run(toy_run, tmp_path / "a", name="No Such Name")
    (toy_run / "model.keras").write_bytes(b"half a file")
    with pytest.raises(ExportError, match="cannot be read"):
        export_run(toy_run, tmp_path / "a")
    (toy_run / "model.keras").unlink()
    with pytest.raises(ExportError, match="finished training run"):
        export_run(toy_run, tmp_path / "a")
    assert not (tmp_path / "a").exists()
