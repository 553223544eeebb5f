"""Evaluation of a network made by hand: bright is foreground."""

import csv
import doctest
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import layers

import monolayer_trainer.evaluate as evaluate_module
import monolayer_trainer.predict_folder as predict_folder_module
from monolayer_core.model_card import Thresholds, read_card, write_card
from monolayer_trainer.card import draft_card
from monolayer_trainer.config import TrainConfig, write_config
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.dense_layers import measure_layers
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.evaluate import evaluate, load_network
from monolayer_trainer.predict_folder import predict_folder
from monolayer_trainer.provenance import dataset_of, write_provenance
from monolayer_trainer.run_folder import RunError, RunFolder
from monolayer_trainer.tables import read_rows, write_rows

CONFIG = TrainConfig(name="bright", base_width=4, depth=2, crop_side=64)


def bright_is_foreground() -> keras.Model:
    """Class and distance are 1 where the image is brighter than half its range; there is no boundary."""
    image = keras.Input((None, None, 3))
    steep = layers.Conv2D(3, 1, activation="sigmoid")
    answer = steep(layers.Rescaling(1 / 255)(image))
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[..., (0, 2)] = 100.0
    steep.set_weights([kernel, np.array([-150.0, -150.0, -150.0], np.float32)])
    return keras.Model(image, answer)


@pytest.fixture(scope="module")
def data(disc_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_dataset(tmp_path_factory.mktemp("data"), count=10, size=(48, 64), discs=2)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that was never trained."""
    folder = RunFolder(tmp_path_factory.mktemp("runs"))
    dataset = Dataset.load(data)
    write_config(CONFIG, folder.path)
    bright_is_foreground().save(folder.model)
    card = draft_card(CONFIG, dataset, dataset.subset("train"), thresholds=Thresholds(foreground=0.5, seed=0.5))
    write_card(card.model_copy(update={"metrics": {"tuning": {"kaggle_score": 0.5}}}), folder.path)
    write_rows(folder.images, [{"ImageId": sample.id, "use": "training"} for sample in dataset.subset("train")])
    write_provenance(folder, dataset)
    return folder.path


@pytest.fixture(scope="module")
def metrics(run: Path, data: Path) -> dict:
    return evaluate(run, data)


def test_a_network_that_finds_every_bright_pixel_has_a_dice_of_one(metrics, data):
    overall = metrics["methods"]["network"]["overall"]
    assert overall["images"] == len(Dataset.load(data).subset("validation"))
    assert overall["dice"]["mean"] == pytest.approx(1.0)
    assert overall["confluency_error_absolute"]["mean"] == pytest.approx(0.0)
    # It cannot tell the halves of a disc apart.
    assert overall["prediction_objects"] < overall["truth_objects"]
    assert overall["kaggle_score"]["mean"] < 0.5


def test_objects_are_counted_by_size_over_all_validation_images(metrics, run, data):
    dataset = Dataset.load(data)
    truths = [dataset.read(sample)[1] for sample in dataset.subset("validation")]
    areas_px = np.concatenate([np.bincount(truth.ravel())[1:] for truth in truths])
    diameters_px = 2 * np.sqrt(areas_px / np.pi)
    for name, low, high in (("below 8", 0, 8), ("8 to 16", 8, 16), ("16 to 32", 16, 32)):
        expected = np.count_nonzero((diameters_px >= low) & (diameters_px < high))
        assert metrics["sizes"].get(name, {"truth": 0})["truth"] == expected
    rows = [row for row in read_rows(RunFolder(run).scores) if row["method"] == "network"]
    predicted = sum(one["prediction"] for one in metrics["sizes"].values())
    assert predicted == sum(int(row["prediction_count"]) for row in rows)
    page = RunFolder(run).report.read_text()
    for name, one in metrics["sizes"].items():
        assert f"| {name} | {one['truth']} | " in page


def test_kmeans_and_otsu_stand_beside_the_network(metrics):
    assert list(metrics["methods"]) == ["network", "kmeans", "otsu"]
    assert metrics["methods"]["kmeans"]["overall"]["dice"]["mean"] > 0.95
    assert metrics["methods"]["otsu"]["overall"]["dice"]["mean"] > 0.95


def test_metrics_are_written_as_they_are_returned(metrics, run):
    assert json.loads((run / "metrics.json").read_text()) == metrics


def test_every_image_and_method_has_a_row(metrics, run, data):
    with (run / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    validation = [sample.id for sample in Dataset.load(data).subset("validation")]
    assert [(row["ImageId"], row["method"]) for row in rows] == [
        (image_id, method) for image_id in validation for method in ("network", "kmeans", "otsu")
    ]
    mean = np.mean([float(row["kaggle_score"]) for row in rows if row["method"] == "network"])
    assert mean == pytest.approx(metrics["methods"]["network"]["overall"]["kaggle_score"]["mean"], abs=1e-4)


def test_the_card_takes_the_figures_on_images_held_out(metrics, run):
    held_out = read_card(run).metrics
    assert held_out["tuning"] == {"kaggle_score": 0.5}
    assert held_out["validation"]["dice"] == 1.0
    assert held_out["validation"]["images"] == metrics["methods"]["network"]["overall"]["images"]


def test_the_report_is_a_page_with_a_row_for_each_method_and_its_figures(metrics, run):
    page = (run / "evaluation.md").read_text()
    for line in ("# bright 0.1.0 on source", "| network | 0.", "| kmeans | 0.", "| otsu | 0.", "## By modality"):
        assert line in page
    linked = [line.split("](")[1].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert len(linked) == 4
    assert all(cv2.imread(str(run / name)) is not None for name in linked)


def test_the_examples_show_every_method_beside_the_truth(metrics, run):
    assert "Input | truth | network | kmeans | otsu" in (run / "evaluation.md").read_text()
    # Five images of 64 pixels with gaps of 4 between.
    assert cv2.imread(str(run / "figures" / "best.png")).shape[1] == 5 * 64 + 4 * 4


def test_dense_layers_are_made_of_the_validation_images_where_they_are_asked_for(metrics, run, data, monkeypatch):
    assert "dense_layers" not in metrics
    monkeypatch.setattr(evaluate_module, "measure_layers", partial(measure_layers, side_px=64))
    read = []
    monkeypatch.setattr(Dataset, "read", lambda self, sample, of=Dataset.read: read.append(sample) or of(self, sample))
    again = evaluate(run, data, dense_layers=True)
    layers = json.loads((run / "metrics.json").read_text())["dense_layers"]
    assert layers == again["dense_layers"]
    assert layers["images"] == len(Dataset.load(data).subset("validation"))
    assert set(read) == set(Dataset.load(data).subset("validation"))
    assert layers["pasted"]["mean_absolute_error"] < 10, "bright is covered, but for narrow gaps and softened edges"
    assert "## Confluency up to a closed layer" in (run / "evaluation.md").read_text()


def test_phase_contrast_is_measured_where_it_is_given(metrics, run, data, tmp_path):
    again = evaluate(run, data, phase_contrast_source=data.parent / "source", limit=1)
    assert again["kmeans"]["phase_contrast"]["images"] == 10
    assert "Phase contrast by texture, 10 images" in (run / "evaluation.md").read_text()
    assert read_card(run).metrics["validation"]["images"] > 1, "a part of the images does not count as the evaluation"


def test_images_that_were_trained_on_are_refused(run, data, tmp_path):
    folder = RunFolder(run)
    kept = read_rows(folder.images)
    sample = Dataset.load(data).subset("validation")[0]
    write_rows(folder.images, [*kept, {"ImageId": sample.id, "use": "tuning"}])
    try:
        with pytest.raises(RunError, match=f"used in training, among them {sample.id}"):
            evaluate(run, data)
    finally:
        write_rows(folder.images, kept)


def test_a_run_that_was_not_finished_is_refused(tmp_path):
    with pytest.raises(RunError, match="no finished run"):
        load_network(RunFolder(tmp_path))


def test_a_run_knows_its_data_set(run, data, tmp_path):
    assert dataset_of(RunFolder(run)) == data.resolve()
    with pytest.raises(RunError, match="name the data set"):
        dataset_of(RunFolder(tmp_path))


def test_images_without_masks_are_predicted_and_broken_ones_listed(run, tmp_path):
    source, destination = tmp_path / "images", tmp_path / "out"
    source.mkdir()
    image = np.full((40, 50), 10, np.uint8)
    cv2.circle(image, (20, 20), 8, 220, -1)
    cv2.imwrite(str(source / "a.png"), image)
    (source / "b.png").write_bytes(b"no image")
    card, predict = load_network(RunFolder(run))
    assert predict_folder(source, destination, card, predict) == ["b.png"]
    rows = read_rows(destination / "predictions.csv")
    assert [(row["image"], row["count"]) for row in rows] == [("a.png", "1"), ("b.png", "")]
    assert float(rows[0]["confluency_percent"]) == pytest.approx(
        100 * np.count_nonzero(image == 220) / image.size, abs=1e-3
    )
    assert float(rows[0]["mean_score"]) == pytest.approx(1.0, abs=0.01)
    assert rows[1]["error"]
    overlay = cv2.imread(str(destination / "a_overlay.png"))
    assert overlay.shape == (40, 50, 3)
    assert np.ptp(overlay[20, 20]) == 0, "the inside of an object keeps its grey"
    assert np.ptp(overlay[12, 20]) > 0, "its outline is coloured"


@pytest.mark.parametrize(
    ("names", "overlays"),
    [
        (["1f/images/1f.png", "2e/images/2e.png"], ["1f_overlay.png", "2e_overlay.png"]),
        (["a.png", "a.tif"], ["a.png_overlay.png", "a.tif_overlay.png"]),
        (["day1/a.png", "day2/A.png"], ["day1/a.png_overlay.png", "day2/A.png_overlay.png"]),
    ],
    ids=["folders of their own", "two formats", "two days"],
)
def test_images_in_folders_are_all_predicted_each_into_a_file_of_its_own(run, tmp_path, names, overlays):
    source, destination = tmp_path / "images", tmp_path / "out"
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(source / name), np.full((16, 16), 10, np.uint8))
    (source / "readme.txt").write_text("no image")
    card, predict = load_network(RunFolder(run))
    assert predict_folder(source, destination, card, predict) == []
    assert [row["image"] for row in read_rows(destination / "predictions.csv")] == names
    written = {path.relative_to(destination).as_posix() for path in destination.rglob("*.png")}
    assert written == set(overlays)
    predict_folder(source, destination, card, predict, limit=1)
    assert [row["image"] for row in read_rows(destination / "predictions.csv")] == names[:1]


def test_mirror_images_are_predicted_where_they_are_wanted(run, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((16, 16), 10, np.uint8))
    card, predict = load_network(RunFolder(run))
    seen = []

    def counting(tiles):
        seen.append(len(tiles))
        return predict(tiles)

    predict_folder(tmp_path, tmp_path / "once", card, counting)
    once, seen = sum(seen), []
    predict_folder(tmp_path, tmp_path / "out", card, counting, tta=True, limit=1)
    assert sum(seen) == 4 * once


def test_a_folder_without_images_is_an_error(run, tmp_path):
    (tmp_path / "readme.txt").write_text("no image")
    with pytest.raises(DatasetError, match="holds no images"):
        predict_folder(tmp_path, tmp_path / "out", *load_network(RunFolder(run)))
    assert not (tmp_path / "out").exists()


def test_the_examples_of_names_are_right():
    assert doctest.testmod(predict_folder_module).failed == 0
