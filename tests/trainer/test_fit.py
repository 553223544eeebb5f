"""A whole training of a toy network: what it writes, how it resumes, how it gets by with less memory."""

import csv
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from pydantic import ValidationError

import monolayer_trainer.memory as memory_module
import monolayer_trainer.training as training_module
from monolayer_core.model_card import Output, read_card
from monolayer_trainer.config import TrainConfig, read_config
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.errors import DatasetError, SamplerError
from monolayer_trainer.fit import fit, resume
from monolayer_trainer.holdout import hold_out
from monolayer_trainer.provenance import refuse_other_data, write_provenance
from monolayer_trainer.run_folder import RunError, RunFolder
from monolayer_trainer.tables import read_rows
from monolayer_trainer.training import compiled_network

TOY = TrainConfig(
    name="toy",
    base_width=4,
    depth=2,
    crop_side=32,
    batch_size=2,
    epochs=2,
    steps_per_epoch=2,
    tuning_fraction=0.25,
    score_every=1,
)


@pytest.fixture(scope="module")
def data(disc_dataset, tmp_path_factory):
    return disc_dataset(tmp_path_factory.mktemp("data"), count=10, size=(48, 64), discs=2)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A run of two epochs of two steps."""
    return fit(data, tmp_path_factory.mktemp("runs") / "toy", TOY)


def history(folder: RunFolder) -> list[dict[str, str]]:
    with folder.history.open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_a_run_promises_is_written(trained):
    written = {str(path.relative_to(trained.path)) for path in trained.path.rglob("*.*") if "tb/" not in str(path)}
    assert written == {
        "architecture.png",
        "best.json",
        "config.json",
        "curves.png",
        "history.csv",
        "images.csv",
        "last.weights.h5",
        "last_average.weights.h5",
        "model.keras",
        "model_card.json",
        "model_summary.txt",
        "progress.json",
        "provenance.json",
        "samples/epoch_0000.png",
        "samples/epoch_0001.png",
        "samples/epoch_0002.png",
    }


def test_the_configuration_is_the_one_given(trained):
    assert read_config(trained.path) == TOY


def test_the_history_has_a_row_for_each_epoch_with_loss_and_score(trained):
    rows = history(trained)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(0 < float(row["loss"]) < 10 for row in rows)
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert float(rows[1]["learning_rate"]) < float(rows[0]["learning_rate"])


def test_progress_counts_steps_and_epochs(trained):
    progress = trained.read_progress()
    assert (progress.epochs, progress.steps) == (2, 4)
    assert progress.elapsed_seconds > 0


def test_images_trained_on_and_tuned_on_are_of_different_groups_and_none_is_of_the_validation_set(trained, data):
    with trained.images.open(newline="") as file:
        rows = list(csv.DictReader(file))
    groups = {use: {row["group"] for row in rows if row["use"] == use} for use in ("training", "tuning")}
    assert groups["training"]
    assert groups["tuning"]
    assert groups["training"].isdisjoint(groups["tuning"])
    validation = {sample.id for sample in Dataset.load(data).subset("validation")}
    assert validation.isdisjoint(row["ImageId"] for row in rows)


def test_nothing_is_set_aside_where_nothing_is_to_be_chosen(data):
    dataset = Dataset.load(data)
    training, tuning = hold_out(dataset, TOY.model_copy(update={"tuning_fraction": 0.0}))
    assert (training, tuning) == (dataset.subset("train"), ())


def test_the_card_describes_the_network(trained, data):
    card = read_card(trained.path)
    assert (card.name, card.task, card.channels, card.divisor) == ("toy", "instances", "rgb", 4)
    assert card.outputs == (
        Output(name="disc", role="class"),
        Output(name="boundary", role="boundary"),
        Output(name="distance", role="distance"),
    )
    training, tuning = hold_out(Dataset.load(data), TOY)
    assert card.training_data.images == len(training)
    assert card.training_data.objects == sum(sample.objects for sample in training)
    assert card.metrics["tuning"]["images"] == len(tuning)
    # Halves of discs with a radius of ten pixels.
    assert card.object_diameter_px == pytest.approx(np.sqrt(2) * 10, abs=2)


def test_the_kept_network_takes_raw_values_and_gives_the_outputs_of_the_card(trained):
    model = keras.saving.load_model(trained.model, compile=False)
    answer = np.asarray(model(np.full((1, 16, 24, 3), 200.0)))
    assert answer.shape == (1, 16, 24, 3)
    assert 0 <= answer.min() <= answer.max() <= 1
    assert answer.dtype == np.float32


def test_pictures_show_input_truth_and_prediction_side_by_side(trained):
    picture = cv2.imread(str(trained.samples / "epoch_0002.png"))
    # Three images of 64 pixels with gaps of 4 between.
    assert picture.shape[1] == 3 * 64 + 2 * 4


def test_tensorboard_finds_figures_and_pictures(trained):
    folders = {path.parent.name for path in trained.tensorboard.rglob("events.out.tfevents.*")}
    assert folders == {"train", "pictures"}


def test_provenance_names_the_data_set_by_digest(trained, data):
    provenance = json.loads(trained.provenance.read_text())
    assert provenance["dataset"] == "source"
    assert len(provenance["split_sha256"]) == 64
    assert {"python", "keras", "numpy"} <= set(provenance["versions"])


def test_a_folder_with_a_run_is_not_overwritten(trained, data):
    with pytest.raises(RunError, match="already holds a run"):
        fit(data, trained.path, TOY)


def test_where_there_is_no_run_there_is_nothing_to_resume(data, tmp_path):
    with pytest.raises(RunError, match="no run to resume"):
        resume(data, tmp_path / "nothing")


def begun(run: Path, data: Path) -> RunFolder:
    """A run that has ended before its first checkpoint."""
    folder = RunFolder(run)
    folder.begin(TOY.model_copy(update={"epochs": 7, "minutes": 1.5}))
    write_provenance(folder, Dataset.load(data))
    return folder


def test_a_resumed_run_keeps_its_duration_where_no_other_is_given(data, tmp_path):
    folder = begun(tmp_path / "run", data)
    kept = folder.take_up(epochs=None, minutes=None, patience=None)
    assert (kept.epochs, kept.minutes, kept.patience) == (7, 1.5, None)
    longer = folder.take_up(epochs=9, minutes=None, patience=3)
    assert longer == kept.model_copy(update={"epochs": 9, "patience": 3})
    with pytest.raises(ValidationError, match="epochs"):
        folder.take_up(epochs=0, minutes=None, patience=None)


@pytest.mark.parametrize("name", ["dataset.json", "split.csv"])
def test_a_run_is_not_resumed_with_other_images_or_another_split(data, tmp_path, name):
    folder = begun(tmp_path / "run", data)
    shutil.copytree(data, tmp_path / "data")
    refuse_other_data(folder, Dataset.load(tmp_path / "data"))
    with (tmp_path / "data" / name).open("a") as file:
        file.write("\n")
    with pytest.raises(RunError, match=f"{name} is not the one"):
        resume(tmp_path / "data", folder.path)


def test_what_cannot_be_trained_leaves_no_run_behind(data, tmp_path):
    with pytest.raises(DatasetError, match="number of class weights is 2, that of the classes 1"):
        fit(data, tmp_path / "run", TOY.model_copy(update={"class_weights": (1.0, 2.0)}))
    shutil.copytree(data, tmp_path / "data")
    split = tmp_path / "data" / "split.csv"
    split.write_text(split.read_text().replace(",train", ",validation"))
    with pytest.raises(DatasetError, match="no training images"):
        fit(tmp_path / "data", tmp_path / "run", TOY)
    assert not (tmp_path / "run").exists()


def test_a_broken_training_image_is_reported_as_what_it_is(data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    for sample in hold_out(Dataset.load(data), TOY)[0]:
        (tmp_path / "data" / sample.image).write_bytes(b"no image")
    with pytest.raises(SamplerError, match=r"(?s)the sampler process failed:.*DatasetError: images/"):
        fit(tmp_path / "data", tmp_path / "run", TOY)


def test_images_given_up_for_want_of_memory_are_not_listed_as_trained_on(data, tmp_path, monkeypatch):
    finished = {}
    monkeypatch.setattr(memory_module, "SMALLEST_LIMIT", 1)
    monkeypatch.setattr("monolayer_trainer.finish.finish", lambda *_, **samples: finished.update(samples))

    def train(config: TrainConfig, *_: object, **__: object) -> None:
        if config.limit is None:
            raise MemoryError

    monkeypatch.setattr(training_module, "train", train)
    folder = fit(data, tmp_path / "run", TOY.model_copy(update={"batch_size": 1}))
    config = read_config(folder.path)
    assert config.limit is not None
    listed = [row["ImageId"] for row in read_rows(folder.images) if row["use"] == "training"]
    assert listed == [sample.id for sample in finished["training"]]
    assert len(listed) == config.limit


def test_a_checkpoint_restores_weights_optimizer_and_step(trained):
    model = compiled_network(TOY, 1)
    model.load_weights(trained.last_weights)
    assert int(model.optimizer.iterations) == 4
    moments = [variable for variable in model.optimizer.variables if "velocity" in variable.path]
    assert moments
    assert all(np.any(np.asarray(keras.ops.convert_to_numpy(moment)) > 0) for moment in moments)


@pytest.mark.slow
def test_a_resumed_run_goes_on_where_it_stopped(trained, data, tmp_path):
    folder = fit(data, tmp_path / "run", TOY.model_copy(update={"epochs": 1}))
    resume(data, tmp_path / "run", epochs=2)
    assert [row["epoch"] for row in history(folder)] == ["1", "2"]
    assert folder.read_progress().steps == 4
    assert read_config(folder.path).epochs == 2
    model = compiled_network(TOY, 1)
    model.load_weights(folder.last_weights)
    assert int(model.optimizer.iterations) == 4
    # The learning rate of the first epoch differs, because the run was shorter then; the crops do not.
    losses = [[float(row["loss"]) for row in history(run)] for run in (trained, folder)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.slow
def test_a_training_that_runs_out_of_memory_goes_on_with_half_the_batch(data, tmp_path, monkeypatch, caplog):
    build = training_module.build_network
    tried = []

    def build_or_fail(config: TrainConfig, classes: int) -> keras.Model:
        tried.append(config.batch_size)
        if config.batch_size > 1:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory allocating 12345 bytes")
        return build(config, classes)

    monkeypatch.setattr(training_module, "build_network", build_or_fail)
    with caplog.at_level(logging.WARNING):
        folder = fit(data, tmp_path / "run", TOY.model_copy(update={"epochs": 1}))
    assert tried[:2] == [2, 1]
    assert "going on with batches of 1" in caplog.text
    assert read_config(folder.path).batch_size == 1
    assert folder.model.exists()


@pytest.mark.slow
def test_a_semantic_network_has_neither_boundary_nor_distance(data, tmp_path):
    config = TrainConfig.model_validate(TOY.model_dump() | {"kind": "semantic", "distance": False, "epochs": 1})
    card = read_card(fit(data, tmp_path / "run", config).path)
    assert card.task == "semantic"
    assert [output.role for output in card.outputs] == ["class"]


@pytest.mark.slow
def test_the_mobilenet_unet_is_trained_and_described_at_its_one_size(data, tmp_path):
    changes = {"architecture": "mobilenet-unet", "crop_side": 128, "imagenet": False, "epochs": 1, "steps_per_epoch": 1}
    folder = fit(data, tmp_path / "run", TrainConfig.model_validate(TOY.model_dump() | changes))
    card = read_card(folder.path)
    assert (card.tile_sides, card.dynamic_size, card.divisor) == ((128,), False, 32)
    assert keras.saving.load_model(folder.model, compile=False).input_shape == (None, 128, 128, 3)


@pytest.mark.slow
def test_jax_trains_the_same_network(data, tmp_path):
    code = (
        "import sys; from pathlib import Path; from monolayer_trainer.fit import fit; "
        "from monolayer_trainer.config import TrainConfig\n"
        "if __name__ == '__main__':\n"
        "    config = TrainConfig.model_validate_json(sys.argv[3])\n"
        "    fit(Path(sys.argv[1]), Path(sys.argv[2]), config)\n"
    )
    script = tmp_path / "train.py"
    script.write_text(code)
    config = TOY.model_copy(update={"mixed_precision": False})
    command = [sys.executable, str(script), str(data), str(tmp_path / "run"), config.model_dump_json()]
    subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": "jax"})
    folder = RunFolder(tmp_path / "run")
    assert folder.read_progress().steps == 4
    # Written by one backend, read by the other.
    model = keras.saving.load_model(folder.model, compile=False)
    assert np.asarray(model(np.full((1, 16, 24, 3), 200.0))).shape == (1, 16, 24, 3)
    learned = [np.any(layer.get_weights()[0] != 0) for layer in model.layers if layer.name.endswith("norm1")]
    assert all(learned)


@pytest.mark.slow
def test_a_wall_clock_budget_ends_the_training_though_epochs_are_left(data, tmp_path):
    config = TOY.model_copy(update={"minutes": 1e-6, "epochs": 50})
    folder = fit(data, tmp_path / "run", config)
    assert folder.read_progress().steps == 1
    assert "score" in history(folder)[0]


def test_as_many_processes_make_crops_as_are_asked_for(data, tmp_path, monkeypatch):
    def start(*_, workers, **__):
        raise SamplerError(f"{workers} workers")

    monkeypatch.setattr("monolayer_trainer.fit.start_worker_process", start)
    with pytest.raises(SamplerError, match="3 workers"):
        fit(data, tmp_path / "run", TOY.model_copy(update={"workers": 3}))


def test_importing_the_fit_loads_neither_keras_nor_fastapi():
    code = "import monolayer_trainer.fit, sys; print(*{'keras', 'tensorflow', 'fastapi'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
