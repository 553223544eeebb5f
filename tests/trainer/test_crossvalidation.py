"""A cross-validation of toy networks: who sees which image, how it goes on, and what the figures are made of."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import monolayer_trainer.crossvalidation as crossvalidation_module
import monolayer_trainer.training as training_module
from monolayer_core.metrics import score_image
from monolayer_core.model_card import Thresholds, read_card
from monolayer_core.pipeline import SegmentOptions, segment
from monolayer_trainer.cli.app import app
from monolayer_trainer.config import TrainConfig, read_config
from monolayer_trainer.cross_folder import CrossFolder
from monolayer_trainer.crossvalidation import crossvalidate
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.evaluate import evaluate, load_network
from monolayer_trainer.fold_scores import FoldSearch, Network, answer_held_out
from monolayer_trainer.run_folder import RunError, RunFolder
from monolayer_trainer.tables import read_rows

TOY = TrainConfig(
    name="toy",
    base_width=2,
    depth=1,
    crop_side=32,
    batch_size=2,
    epochs=1,
    steps_per_epoch=2,
    tuning_fraction=0.25,
)


@pytest.fixture(scope="module")
def data(disc_dataset, tmp_path_factory) -> Path:
    return disc_dataset(tmp_path_factory.mktemp("data"), count=8, size=(48, 64), discs=2)


@pytest.fixture(scope="module")
def crossed(data, tmp_path_factory) -> CrossFolder:
    """Two folds and the network to ship; the first call is broken off in the second fold, the second goes on."""
    run = tmp_path_factory.mktemp("runs") / "toy"
    train = training_module.train
    trained = []

    def train_once(config, folder, *rest, **others):
        trained.append(folder.path.name)
        if trained == ["fold-1", "fold-2"]:
            raise KeyboardInterrupt
        train(config, folder, *rest, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_module, "train", train_once)
        with pytest.raises(KeyboardInterrupt):
            crossvalidate(data, run, TOY, folds=2)
        assert not (run / "metrics.json").exists()
        crossvalidate(data, run, TOY, folds=2)
    assert trained == ["fold-1", "fold-2", "fold-2", "final"], "a finished fold is not trained again"
    return CrossFolder(run)


def uses(run: Path) -> dict[str, set[str]]:
    rows = read_rows(RunFolder(run).images)
    return {use: {row["ImageId"] for row in rows if row["use"] == use} for use in ("training", "tuning")}


@pytest.mark.slow
def test_no_network_knows_the_images_of_its_fold_and_every_image_is_in_one(crossed, data):
    fold_of = {row["ImageId"]: row["fold"] for row in read_rows(crossed.folds)}
    everything = {sample.id for sample in Dataset.load(data).samples}
    assert fold_of.keys() == everything
    for number in (1, 2):
        used = uses(crossed.fold(number))
        held_out = {image_id for image_id, fold in fold_of.items() if fold == str(number)}
        assert used["training"]
        assert used["tuning"]
        assert used["training"].isdisjoint(used["tuning"])
        assert used["training"] | used["tuning"] == everything - held_out


@pytest.mark.slow
def test_each_network_is_an_ordinary_run_that_can_be_evaluated(crossed):
    run = crossed.fold(1)
    assert read_config(run) == TOY
    methods = evaluate(run, run / "data")["methods"]
    rows = [row for row in read_rows(crossed.scores) if (row["method"], row["fold"]) == ("otsu", "1")]
    assert methods["otsu"]["overall"]["images"] == len(rows) == 4
    dice = np.mean([float(row["dice"]) for row in rows])
    assert methods["otsu"]["overall"]["dice"]["mean"] == pytest.approx(dice, abs=1e-4)


@pytest.mark.slow
def test_a_network_is_judged_with_the_thresholds_that_suit_the_images_of_the_other_folds(crossed, data):
    dataset = Dataset.load(data)
    fold_of = {row["ImageId"]: int(row["fold"]) for row in read_rows(crossed.folds)}
    network_of = {number: Network(*load_network(RunFolder(crossed.fold(number)))) for number in (1, 2)}
    answered, smaller = answer_held_out(dataset, fold_of, network_of, TOY.augmentation)
    assert answered.folds == [fold_of[sample.id] for sample in dataset.samples]
    by_fold = json.loads(crossed.metrics.read_text())["by_fold"]
    for number in (1, 2):
        best = FoldSearch(answered, smaller, network_of[number].card).thresholds(without=number)
        assert by_fold[str(number)]["thresholds"] == best.model_dump()


@pytest.mark.slow
def test_every_image_is_scored_once_by_each_method_and_the_network_is_that_of_its_fold(crossed, data):
    dataset = Dataset.load(data)
    rows = read_rows(crossed.scores)
    assert [(row["ImageId"], row["method"]) for row in rows] == [
        (sample.id, method) for sample in dataset.samples for method in ("network", "kmeans", "otsu")
    ]
    fold_of = {row["ImageId"]: row["fold"] for row in read_rows(crossed.folds)}
    network_of = {number: load_network(RunFolder(crossed.fold(int(number)))) for number in ("1", "2")}
    by_fold = json.loads(crossed.metrics.read_text())["by_fold"]
    for row, sample in zip(rows[::3], dataset.samples, strict=True):
        assert row["fold"] == fold_of[sample.id]
        card, predict = network_of[row["fold"]]
        thresholds = Thresholds.model_validate(by_fold[row["fold"]]["thresholds"])
        card = card.model_copy(update={"thresholds": thresholds})
        pixels, labels, _ = dataset.read(sample)
        scores = score_image(labels, segment(pixels, card, predict, SegmentOptions()).labels)
        assert float(row["kaggle_score"]) == pytest.approx(scores.kaggle_score, abs=1e-4)
        assert float(row["truth_confluency_percent"]) == pytest.approx(100 * np.mean(labels > 0), abs=1e-4)
        assert float(row["confluency_error"]) == pytest.approx(scores.confluency_error, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["network", "kmeans", "otsu"])
def test_pooled_figures_are_means_over_all_images_and_the_bias_has_a_sign(crossed, method):
    rows = [row for row in read_rows(crossed.scores) if row["method"] == method]
    overall = json.loads(crossed.metrics.read_text())["methods"][method]["overall"]
    assert overall["images"] == overall["groups"] == len(rows) == 8
    for name in ("kaggle_score", "average_precision_50", "dice", "confluency_error"):
        values = [float(row[name]) for row in rows]
        assert overall[name]["mean"] == pytest.approx(np.mean(values), abs=1e-4)
        assert overall[name]["low"] <= overall[name]["mean"] <= overall[name]["high"]
    errors = [float(row["prediction_confluency_percent"]) - float(row["truth_confluency_percent"]) for row in rows]
    assert overall["confluency_error"]["mean"] == pytest.approx(np.mean(errors), abs=2e-4)
    assert overall["confluency_error_absolute"]["mean"] == pytest.approx(np.mean(np.abs(errors)), abs=2e-4)


@pytest.mark.slow
def test_the_network_to_ship_learns_from_every_image_and_its_card_has_the_figures_of_the_folds(crossed, data):
    everything = Dataset.load(data)
    assert uses(crossed.final) == {"training": {sample.id for sample in everything.samples}, "tuning": set()}
    metrics = json.loads(crossed.metrics.read_text())
    card = read_card(crossed.final)
    assert card.training_data.images == len(everything.samples)
    assert card.training_data.objects == everything.objects
    assert card.thresholds == Thresholds.model_validate(metrics["thresholds"])
    assert list(card.metrics) == ["folds"]
    assert (card.metrics["folds"]["folds"], card.metrics["folds"]["images"]) == (2, 8)
    dice = metrics["methods"]["network"]["overall"]["dice"]["mean"]
    assert card.metrics["folds"]["dice"] == pytest.approx(dice, abs=1e-4)


@pytest.mark.slow
def test_the_network_to_ship_is_the_average_at_the_end(crossed):
    final = RunFolder(crossed.final)
    kept = keras.saving.load_model(final.model, compile=False)
    weights = [np.array(weight) for weight in kept.get_weights()]
    kept.load_weights(final.last_average)
    for shipped, average in zip(weights, kept.get_weights(), strict=True):
        np.testing.assert_array_equal(shipped, average)
    assert not final.best.exists(), "nothing was chosen"


@pytest.mark.slow
def test_the_page_shows_methods_folds_and_figures(crossed):
    page = crossed.report.read_text()
    for line in ("# toy 0.1.0 on source, in 2 folds", "8 images of 8 groups", "| network | 0.", "| 2 | 4 | 4 | 0."):
        assert line in page
    for line in page.splitlines():
        if line.startswith("!["):
            assert (crossed.path / line.split("](")[1].rstrip(")")).exists()


@pytest.mark.slow
def test_the_same_call_again_does_nothing(crossed, data, monkeypatch):
    def refuse(*_, **__):
        pytest.fail("there is nothing left to train")

    for name in ("fit", "resume"):
        monkeypatch.setattr(crossvalidation_module, name, refuse)
    before = {path: path.stat().st_mtime_ns for path in crossed.path.rglob("*") if path.parent.name != "data"}
    metrics = crossvalidate(data, crossed.path, TOY)
    assert metrics == json.loads(crossed.metrics.read_text())
    after = {path: path.stat().st_mtime_ns for path in before}
    assert [path for path in before if before[path] != after[path] and path.is_file()] == []


@pytest.mark.slow
def test_other_options_other_folds_or_other_data_are_refused(crossed, data, disc_dataset, tmp_path):
    with pytest.raises(RunError, match="begun with another seed, epochs"):
        crossvalidate(data, crossed.path, TOY.model_copy(update={"epochs": 3, "seed": 1}))
    with pytest.raises(DatasetError, match="has 2 folds, not 3"):
        crossvalidate(data, crossed.path, TOY, folds=3)
    other = disc_dataset(tmp_path, count=8, size=(48, 64), discs=1)
    with pytest.raises(RunError, match=r"dataset.json is not the one"):
        crossvalidate(other, crossed.path, TOY)


def test_a_folder_with_an_ordinary_run_is_refused(data, tmp_path):
    RunFolder(tmp_path).begin(TOY)
    with pytest.raises(RunError, match="already holds a run"):
        crossvalidate(data, tmp_path, TOY, folds=2)
    assert not (tmp_path / "folds.csv").exists()


def test_what_cannot_be_trained_leaves_nothing_behind(data, tmp_path):
    with pytest.raises(DatasetError, match="number of class weights is 2, that of the classes 1"):
        crossvalidate(data, tmp_path / "run", TOY.model_copy(update={"class_weights": (1.0, 2.0)}))
    with pytest.raises(DatasetError, match="8 groups of images: too few for 9 folds"):
        crossvalidate(data, tmp_path / "run", TOY, folds=9)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], {"folds": None, "final": True}), (["--folds", "3", "--no-final"], {"folds": 3, "final": False})],
    ids=str,
)
def test_the_command_takes_the_options_of_fit_and_its_own(data, tmp_path, monkeypatch, options, expected):
    calls = []
    monkeypatch.setattr(crossvalidation_module, "crossvalidate", lambda *given, **own: calls.append((given, own)))
    (tmp_path / "evaluation.md").write_text("the page")
    arguments = ["crossvalidate", str(data), str(tmp_path), *options, "--name", "cells", "--base-width", "4"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert calls == [((data, tmp_path, TrainConfig(name="cells", base_width=4)), expected)]
    assert "the page" in result.output
