"""The command line, run in this process with Typer's runner."""

import doctest
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from monolayer_trainer.board import board_command
from monolayer_trainer.cli import fit_options
from monolayer_trainer.cli.app import app
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.presets import Preset, augmentation_of
from monolayer_trainer.run_folder import RunError

runner = CliRunner()


@pytest.fixture(scope="module")
def data(disc_dataset, tmp_path_factory):
    return disc_dataset(tmp_path_factory.mktemp("data"), count=6, size=(48, 64), discs=2)


@pytest.fixture
def fitted(monkeypatch):
    """Replace the training by a list of what it would have been given."""
    calls = []
    monkeypatch.setattr("monolayer_trainer.fit.fit", lambda data, run, config: calls.append((data, run, config)))
    return calls


def test_prepare_writes_a_data_set_and_says_what_is_in_it(data, tmp_path):
    source = data.parent / "source"
    result = runner.invoke(
        app, ["prepare", str(source), str(tmp_path / "set"), "--kind", "labels", "--classes", "disc"]
    )
    assert result.exit_code == 0, result.output
    assert "unknown, train: " in result.output
    assert (tmp_path / "set" / "dataset.json").exists()


def test_fit_without_options_trains_as_the_configuration_says(data, tmp_path, fitted):
    result = runner.invoke(app, ["fit", str(data), str(tmp_path / "nuclei")])
    assert result.exit_code == 0, result.output
    assert fitted == [(data, tmp_path / "nuclei", TrainConfig())]


@pytest.mark.parametrize(
    ("folder", "name"), [("HeLa cells (2)", "hela-cells-2"), ("_x_", "x"), ("細胞", "model"), ("a" * 80, "a" * 64)]
)
def test_a_model_is_called_as_its_folder_unless_it_is_named(data, tmp_path, fitted, folder, name):
    result = runner.invoke(app, ["fit", str(data), str(tmp_path / folder)])
    assert result.exit_code == 0, result.output
    assert fitted[0][2].name == name


def test_every_option_of_fit_reaches_the_configuration(data, tmp_path, fitted):
    options = (
        "--name x --kind semantic --channels grey --base-width 8 --depth 3 --dropout 0.2 --no-imagenet --batch-size 4 "
        "--crop-side 128 --epochs 7 --steps-per-epoch 3 --minutes 1.5 --limit 9 --learning-rate 0.01 --patience 2 "
        "--score-every 1 --no-mixed-precision --seed 5 --class-weights 2.5 --class-exponent 0.25 "
        "--preset phase-contrast --average-momentum 0.9 --kind-exponent 0.3 --group-exponent 0.7 "
        "--near-object 0.4 --input-scale 0.5"
    )
    result = runner.invoke(app, ["fit", str(data), str(tmp_path / "run"), *options.split()])
    assert result.exit_code == 0, result.output
    assert fitted[0][2] == TrainConfig(
        name="x",
        kind="semantic",
        distance=False,
        channels="grey",
        base_width=8,
        class_exponent=0.25,
        augmentation=augmentation_of(Preset.PHASE_CONTRAST, 0.5),
        input_scale=0.5,
        near_object=0.4,
        average_momentum=0.9,
        kind_exponent=0.3,
        group_exponent=0.7,
        depth=3,
        dropout=0.2,
        imagenet=False,
        batch_size=4,
        crop_side=128,
        epochs=7,
        steps_per_epoch=3,
        minutes=1.5,
        limit=9,
        learning_rate=0.01,
        patience=2,
        score_every=1,
        mixed_precision=False,
        seed=5,
        class_weights=(2.5,),
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"epochs": None, "minutes": None, "patience": None}),
        (["--epochs", "7", "--minutes", "2.5"], {"epochs": 7, "minutes": 2.5, "patience": None}),
    ],
    ids=str,
)
def test_a_run_goes_on_with_the_duration_that_is_given(data, tmp_path, monkeypatch, options, expected):
    calls = []
    monkeypatch.setattr("monolayer_trainer.fit.resume", lambda data, run, **duration: calls.append(duration))
    result = runner.invoke(app, ["fit", str(data), str(tmp_path / "run"), "--resume", *options])
    assert result.exit_code == 0, result.output
    assert calls == [expected]


def test_options_that_a_resumed_run_would_ignore_are_refused(data, tmp_path):
    options = ["--resume", "--epochs", "7", "--batch-size", "16", "--no-imagenet"]
    result = runner.invoke(app, ["fit", str(data), str(tmp_path / "run"), *options])
    assert result.exit_code == 2
    assert "--imagenet" in result.output
    assert "--batch-size" in result.output
    assert "--epochs" not in result.output


def test_the_default_that_help_shows_is_that_of_the_configuration():
    epochs = next(option for option in typer.main.get_command(app).commands["fit"].params if option.name == "epochs")
    assert epochs.show_default == str(TrainConfig().epochs)


def test_the_mobilenet_unet_gets_crops_of_its_side(data, tmp_path, fitted):
    runner.invoke(app, ["fit", str(data), str(tmp_path / "run"), "--architecture", "mobilenet-unet"])
    assert fitted[0][2].crop_side == 128


def test_class_weights_can_follow_the_data(data, tmp_path, fitted):
    runner.invoke(app, ["fit", str(data), str(tmp_path / "run"), "--class-weights", "auto"])
    assert fitted[0][2].class_weights == (1.0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--crop-side", "100"], "multiple of 16"),
        (["--class-weights", "many"], "numbers separated by commas"),
        (["--batch-size", "0"], "batch_size"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_explained(data, tmp_path, fitted, options, message):
    result = runner.invoke(app, ["fit", str(data), str(tmp_path / "run"), *options])
    assert result.exit_code != 0
    assert message in result.output
    assert not fitted


def test_a_folder_that_is_no_data_set_is_explained(tmp_path):
    result = runner.invoke(app, ["fit", str(tmp_path), str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "run `monolayer-train prepare` first" in result.output


def test_a_run_that_is_not_finished_cannot_be_evaluated(tmp_path):
    result = runner.invoke(app, ["evaluate", str(tmp_path)])
    assert result.exit_code == 1
    assert "name the data set" in result.output


def test_tensorboard_listens_on_this_machine_alone(tmp_path):
    (tmp_path / "tb").mkdir()
    command = board_command(tmp_path, 6007)
    assert command[1:] == [
        "-m", "tensorboard.main", "--logdir", str(tmp_path / "tb"), "--host", "127.0.0.1", "--port", "6007",
    ]  # fmt: skip


def test_a_run_without_anything_for_tensorboard_is_explained(tmp_path):
    with pytest.raises(RunError, match="nothing for TensorBoard"):
        board_command(tmp_path, 6006)
    result = runner.invoke(app, ["board", str(tmp_path)])
    assert result.exit_code == 1
    assert "nothing for TensorBoard" in result.output


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from monolayer_trainer.cli.app import app\n"
        "assert 'evaluate' in CliRunner().invoke(app, ['--help']).output\n"
        "print(*{'keras', 'tensorflow', 'cv2', 'matplotlib', 'fastapi', 'sklearn'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_the_examples_are_right():
    assert doctest.testmod(fit_options).failed == 0
