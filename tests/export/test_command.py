"""The command line: what it asks for, what it says, and how it fails."""

import doctest
from pathlib import Path

import pytest
from onnx import helper
from rich.console import Console
from typer.testing import CliRunner

from monolayer_core.model_card import Agreement, Int8Network, ModelCard
from monolayer_export import __main__ as command
from monolayer_export import summary as summary_module
from monolayer_export.errors import ExportError
from monolayer_export.export import ExportReport
from monolayer_export.halo import HaloMeasurement, HaloPoint
from monolayer_export.images import TrialImages
from monolayer_export.parity import ParityResult
from monolayer_export.precisions import Wanted
from monolayer_export.summary import print_summary

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets what TensorFlow reads; the tests after it shall not inherit that."""
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture
def report(make_float_graph, toy_card: ModelCard) -> ExportReport:
    return ExportReport(
        card=toy_card.model_copy(update={"files": {"model.onnx": "ab" * 32}}),
        model=make_float_graph([helper.make_node("Relu", ["x"], ["y"])], {}, channels=3, outputs=3),
        parity=(ParityResult("a", 1e-6, 1, 3, 1000), ParityResult("b", 2e-6, 0, 0, 1000)),
        halo=HaloMeasurement(32, (64, 128), (HaloPoint(64, 28, 0.0012, 0.002), HaloPoint(64, 32, 0.0, 0.0005)), True),
        images=TrialImages((), "real images: 7"),
    )


def summary(report: ExportReport, bundle: Path) -> str:
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(bytes(7_800_000))
    console = Console(width=120)
    with console.capture() as capture:
        print_summary(report, bundle, console)
    return capture.get()


def test_the_summary_names_the_figures_that_speak_for_the_bundle(report: ExportReport, tmp_path: Path) -> None:
    text = summary(report, tmp_path / "bundle")

    for figure in (
        "toy 0.1.0",
        "7.8 MB, SHA-256 abababababababab",
        "1 Relu",
        "uint8, rgb, any height and width, multiples of 4",
        "nucleus, border, distance",
        "2 cases within 2.0e-06; 3 of 2000 uint8 values differ by one level",
        "32 pixels",
        "real images: 7",
        "0.120 %",
        "0.050 %",
    ):
        assert figure in text


def test_the_summary_says_when_a_halo_is_not_shown_to_suffice(report: ExportReport, tmp_path: Path) -> None:
    unmeasured = ExportReport(
        report.card, report.model, report.parity, HaloMeasurement(32, (128,), (), sufficient=False), report.images
    )

    text = summary(unmeasured, tmp_path / "bundle")

    assert "32 pixels, the widest that fits; not shown to suffice" in text
    assert "worst image" not in text


def test_the_example_in_the_summary_is_true() -> None:
    assert doctest.testmod(summary_module).failed == 0


def test_help_names_every_option_and_gives_an_example() -> None:
    result = RUNNER.invoke(command.app, ["--help"], env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})

    assert result.exit_code == 0
    options = (
        "--name",
        "--version",
        "--images",
        "--calibration-images",
        "--quantize",
        "--no-int8",
        "--fp16",
        "--force",
    )
    for word in ("RUN", "BUNDLE", *options, "monolayer-export runs/nuclei"):
        assert word in result.output


def test_arguments_reach_the_export_and_the_summary_is_printed(
    report: ExportReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def export_run(run: Path, target: Path, **options: object) -> ExportReport:
        options["announce"]("working")
        calls.append((run, target, {**options, "announce": None}))
        target.mkdir()
        (target / "model.onnx").write_bytes(b"")
        return report

    monkeypatch.setattr("monolayer_export.export.export_run", export_run)
    target = tmp_path / "nuclei"
    arguments = ["run", str(target), "--name", "n", "--version", "2", "--images", str(tmp_path), "--force"]
    arguments += ["--no-int8", "--fp16", "--calibration-images", str(tmp_path)]
    result = RUNNER.invoke(command.app, arguments)

    assert result.exit_code == 0, result.output
    expected = {"name": "n", "version": "2", "images": tmp_path, "force": True, "announce": None}
    expected |= {"calibration_images": tmp_path, "wanted": Wanted(int8=False, float16=True)}
    assert calls == [(Path("run"), target, expected)]
    assert "toy 0.1.0" in result.stdout


def test_what_goes_wrong_is_said_in_one_line_with_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_run(*_: object, **__: object) -> ExportReport:
        raise ExportError("the run cannot be exported")

    monkeypatch.setattr("monolayer_export.export.export_run", export_run)
    result = RUNNER.invoke(command.app, ["run", str(tmp_path / "nuclei")])

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error the run cannot be exported" in result.stderr
    assert "Traceback" not in result.stderr


INT8 = Int8Network(
    default_on_cpu=True,
    reason="as good as float32 and 1.9 times as fast",
    calibration_tiles=96,
    speedup=1.9,
    agreement=Agreement(images=44, subset="tuning", level_difference=0.28, confluency_difference=0.06),
)


def test_files_are_added_to_a_bundle_without_a_run(
    toy_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def quantize_bundle(bundle: Path, folder: Path, wanted: Wanted, **_: object) -> ModelCard:
        calls.append((bundle, folder, wanted))
        return toy_card.model_copy(update={"int8": INT8})

    monkeypatch.setattr("monolayer_export.precisions.quantize_bundle", quantize_bundle)
    monkeypatch.setenv("COLUMNS", "200")
    result = RUNNER.invoke(command.app, ["--quantize", str(tmp_path), "--calibration-images", str(tmp_path)])

    assert result.exit_code == 0, result.output
    assert calls == [(tmp_path, tmp_path, Wanted(int8=True, float16=False))]
    assert "the default on a CPU: as good as float32 and 1.9 times as fast" in result.stdout
    assert "44 tuning images: 0.28 levels, 0.06 points of confluency apart" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "RUN and BUNDLE"),
        ([], "RUN and BUNDLE"),
        (["--quantize", "."], "--calibration-images"),
        (["run", "--quantize", ".", "--calibration-images", "."], "neither RUN nor BUNDLE"),
    ],
)
def test_folders_that_are_missing_or_too_many_are_named(arguments: list[str], message: str) -> None:
    result = RUNNER.invoke(command.app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})

    assert result.exit_code == 2
    assert message in result.output
