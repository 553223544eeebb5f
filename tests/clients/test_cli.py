"""The command line against the fake service: what is written, what is said, and the exit status."""

import csv
import io
import json
import re
import subprocess
import sys

import httpx2
import numpy as np
import pytest
from typer.testing import CliRunner

from monolayer_client.async_client import AsyncClient
from monolayer_client.cli import service as cli_service
from monolayer_client.cli.app import app

TWO = np.array([[1, 0, 2], [1, 2, 2]])
NONE = np.zeros((2, 3), dtype=int)


def table(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.mark.parametrize("command", ["segment", "confluency", "submit", "validate", "score", "stats"])
def test_help_teaches_by_examples(monolayer, command):
    result = monolayer(command, "--help")
    assert result.exit_code == 0
    assert f"monolayer {command} " in result.stdout.split("Examples:")[1]


def test_segment_writes_the_answer_and_the_forms_asked_for(monolayer, good_images, tmp_path, read_json):
    out = tmp_path / "out"
    forms = ["csv", "table", "tiff", "overlay", "geojson", "rois", "coco", "ndjson"]
    arguments = ["segment", good_images, "-o", out, *(word for form in forms for word in ("-f", form))]
    result = monolayer(*arguments, "--set", "measurements=true", "--set", "polygons=true")
    assert result.exit_code == 0, result.output
    answer = read_json(out / "first.json")
    assert answer["image_id"] == "first"
    assert answer["instances"][1]["rle"] == "4 3"
    assert (out / "first.rle.csv").read_text() == "ImageId,EncodedPixels\nfirst,1 2\nfirst,4 3\n"
    assert (out / "third.rle.csv").read_text() == "ImageId,EncodedPixels\nthird,\n"
    objects = table(out / "first.objects.csv")
    assert [row["area_px"] for row in objects] == ["2", "3"]
    assert [row["image_id"] for row in objects] == ["first", "first"]
    assert objects[1]["bbox_width_px"] == "2"
    assert objects[1]["mean_intensity_blue"] == "3.0"
    assert "rle" not in objects[0]
    assert table(out / "third.objects.csv") == []
    assert {path.name: path.read_text() for path in out.glob("first.*") if path.read_bytes().startswith(b"the ")} == {
        "first.labels.tif": "the objects as tiff",
        "first.overlay.png": "the objects as overlay",
        "first.geojson": "the objects as geojson with measurements",
        "first.rois.zip": "the objects as rois",
        "first.coco.json": "the objects as coco",
    }
    assert json.loads((out / "first.ndjson").read_text().splitlines()[-1]) == answer
    assert [(row["image_id"], row["count"]) for row in table(out / "summary.csv")] == [("first", "2"), ("third", "0")]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm"}


def told(done, total, stage="inference"):
    return {"stage": stage, "done_megapixels": done, "total_megapixels": total, "elapsed_seconds": 1.5}


def test_on_a_terminal_one_sees_how_far_the_service_is_with_a_large_image(monolayer, service, good_images, tmp_path):
    service.progress = [told(0, 64.5, "decode"), told(16.25, 64.5), told(64.5, 64.5, "encode")]
    result = monolayer("segment", good_images / "first.npy", "-o", tmp_path / "out", **TERMINAL)
    assert result.exit_code == 0, result.output
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", result.stderr)]
    shown = [line for line in lines if line.startswith("first, ")]
    for stage, done in (("decode", " 0/64"), ("inference", "16/64"), ("encode", "64/64")):
        assert any(line.startswith(f"first, megapixels: {stage} ") and done in line for line in shown), shown
    assert not lines[-1].startswith("first, ")
    assert any("images" in line and "1/1" in line for line in lines)
    assert [row["count"] for row in table(tmp_path / "out" / "summary.csv")] == ["2"]


def test_of_small_images_only_the_number_is_shown(monolayer, service, good_images, tmp_path):
    service.progress = [told(0.3, 4.0)]
    result = monolayer("segment", good_images, "-o", tmp_path / "out", **TERMINAL)
    assert "2/2" in result.stderr
    assert "megapixels" not in result.stderr


def test_away_from_a_terminal_progress_is_neither_asked_for_nor_shown(monolayer, service, good_images, tmp_path):
    service.progress = [told(16.25, 64.5)]
    result = monolayer("segment", good_images, "-o", tmp_path / "out")
    assert not [post for post in service.posts if post.headers["Accept"] == "application/x-ndjson"]
    assert "megapixels" not in result.stderr
    assert "0/2" not in result.stderr


def test_a_failure_with_a_bar_is_listed_as_without(monolayer, service, images, tmp_path):
    service.progress = [told(16.25, 64.5)]
    result = monolayer("segment", images, "-o", tmp_path / "out", **TERMINAL)
    assert result.exit_code == 1
    assert "the bytes are in no image format that is read" in result.stderr


def test_confluency_writes_numbers_and_a_summary(monolayer, good_images, tmp_path, read_json):
    result = monolayer("confluency", good_images, "-o", tmp_path / "out", "--method", "kmeans")
    assert result.exit_code == 0, result.output
    assert "83.33" in result.stdout
    assert read_json(tmp_path / "out" / "first.confluency.json")["confluency"]["area_px"] == 5
    first = table(tmp_path / "out" / "confluency.csv")[0]
    assert first == {
        "image_id": "first",
        "confluency_percent": first["confluency_percent"],
        "confluency_of": "nucleus",
        "count": "2",
        "method": "kmeans",
        "model": "",
        "model_version": "",
        "fallback": "",
        "quality_flags": "low_contrast",
    }


@pytest.mark.parametrize("command", ["segment", "confluency"])
def test_a_failed_image_is_listed_and_the_others_are_done(monolayer, images, tmp_path, command):
    result = monolayer(command, images, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 failed:" in result.stderr
    assert f"{images / 'second.png'}: the bytes are in no image format that is read" in result.stderr
    summary = next((tmp_path / "out").glob("*.csv"))
    assert [row["image_id"] for row in table(summary)] == ["first", "third"]


@pytest.mark.parametrize("command", ["segment", "confluency"])
def test_results_that_are_there_are_not_asked_for_again(monolayer, service, images, tmp_path, command):
    monolayer(command, images, "-o", tmp_path / "out")
    service.requests.clear()
    result = monolayer(command, images, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "2 of 3 images are done already" in result.stderr
    assert [request.url.params["image_id"] for request in service.posts] == ["second"]
    service.requests.clear()
    monolayer(command, images, "-o", tmp_path / "out", "--overwrite")
    assert len(service.posts) == 3


@pytest.mark.parametrize("command", ["segment", "confluency"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([], ["--method", "kmeans"], id="another method"),
        pytest.param(["--method", "kmeans"], [], id="the default after a choice"),
        pytest.param(["--set", "threshold=0.5"], ["--set", "threshold=0.4"], id="another value"),
    ],
)
def test_results_of_other_options_are_made_again(monolayer, service, good_images, tmp_path, *, command, first, second):
    monolayer(command, good_images, "-o", tmp_path / "out", *first)
    service.requests.clear()
    result = monolayer(command, good_images, "-o", tmp_path / "out", *second)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == (
        "2 images are done again: their results are of another image or of other options"
    )
    assert len(service.posts) == 2
    summary = next((tmp_path / "out").glob("*.csv"))
    assert {row["method"] for row in table(summary)} == {"kmeans" if "kmeans" in second else "unet"}
    service.requests.clear()
    assert monolayer(command, good_images, "-o", tmp_path / "out", *second).exit_code == 0
    assert service.requests == []


@pytest.mark.parametrize("command", ["segment", "confluency"])
def test_results_of_another_image_of_the_same_name_are_made_again(
    monolayer, service, good_images, tmp_path, *, save_labels, command
):
    monolayer(command, good_images, "-o", tmp_path / "out")
    save_labels(good_images / "third.npy", TWO)
    service.requests.clear()
    result = monolayer(command, good_images, "-o", tmp_path / "out")
    assert "1 of 2 images are done already" in result.stderr
    assert "1 images are done again" in result.stderr
    assert [request.url.params["image_id"] for request in service.posts] == ["third"]
    assert [row["count"] for row in table(next((tmp_path / "out").glob("*.csv")))] == ["2", "2"]


def test_folders_with_options_of_their_own_share_a_result_folder(monolayer, service, good_images, tmp_path):
    monolayer("segment", good_images / "first.npy", "-o", tmp_path / "out")
    monolayer("segment", good_images / "third.npy", "-o", tmp_path / "out", "--method", "kmeans")
    service.requests.clear()
    monolayer("segment", good_images / "first.npy", "-o", tmp_path / "out")
    assert service.requests == []


def test_a_form_left_over_from_other_options_does_not_count(monolayer, service, good_images, tmp_path):
    """The rows are of the network, the answer beside them of K-means: they are no results of one request."""
    image, out = good_images / "first.npy", tmp_path / "out"
    monolayer("segment", image, "-o", out, "-f", "csv")
    monolayer("segment", image, "-o", out, "--method", "kmeans")
    (out / "first.rle.csv").write_text("of the network")
    service.requests.clear()
    monolayer("segment", image, "-o", out, "--method", "kmeans", "-f", "csv")
    assert len(service.posts) == 1
    assert (out / "first.rle.csv").read_text() == "ImageId,EncodedPixels\nfirst,1 2\nfirst,4 3\n"
    service.requests.clear()
    monolayer("segment", image, "-o", out, "--method", "kmeans")
    assert service.requests == []


def test_files_nobody_vouches_for_are_made_again(monolayer, service, good_images, tmp_path):
    monolayer("segment", good_images, "-o", tmp_path / "out")
    (tmp_path / "out" / "summary.csv.journal").unlink()
    service.requests.clear()
    assert monolayer("segment", good_images, "-o", tmp_path / "out").exit_code == 0
    assert len(service.posts) == 2


def test_the_results_of_an_image_outlive_its_failing_in_between(monolayer, service, good_images, tmp_path, read_json):
    image, out = good_images / "first.npy", tmp_path / "out"
    original = image.read_bytes()
    monolayer("segment", image, "-o", out)
    image.write_bytes(b"torn")
    assert monolayer("segment", image, "-o", out).exit_code == 1
    image.write_bytes(original)
    service.requests.clear()
    assert monolayer("segment", image, "-o", out).exit_code == 0
    assert service.posts == []
    assert read_json(out / "first.json")["count"] == 2


@pytest.mark.parametrize("fails_at", ["the answer", "the other form"])
def test_what_fails_with_other_options_leaves_the_results_of_the_older_ones_whole(
    monolayer, service, good_images, tmp_path, fails_at
):
    arguments = ["segment", good_images / "first.npy", "-o", tmp_path / "out", "-f", "rois"]
    monolayer(*arguments)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    if fails_at == "the answer":
        service.script.append(service.fail(500, "internal_error", "it broke"))
    else:
        service.unknown_options = {"format"}
    assert monolayer(*arguments, "--method", "kmeans").exit_code == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    service.requests.clear()
    assert monolayer(*arguments).exit_code == 0
    assert service.posts == []


def test_when_all_is_done_no_service_is_needed(monolayer, service, good_images, tmp_path):
    monolayer("segment", good_images, "-o", tmp_path / "out")
    service.requests.clear()
    assert monolayer("segment", good_images, "-o", tmp_path / "out").exit_code == 0
    assert service.requests == []
    (tmp_path / "out" / "first.json").write_text("torn")
    result = monolayer("segment", good_images, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr


def test_options_reach_the_service(monolayer, service, good_images, tmp_path):
    arguments = ["--model", "cells", "--pixel-size-um", "0.5", "--set", "min_area_px=30", "--set", "echo.plate=7"]
    assert monolayer("segment", good_images / "first.npy", "-o", tmp_path / "out", *arguments).exit_code == 0
    assert dict(service.posts[0].url.params) == {
        "image_id": "first",
        "model": "cells",
        "pixel_size_um": "0.5",
        "min_area_px": "30",
        "echo.plate": "7",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "tta"], "NAME=VALUE"),
        (["--set", "rle=coco"], "the command decides it"),
        (["--url", "localhost"], "begins with http"),
        (["--concurrency", "0"], "--concurrency"),
    ],
)
def test_arguments_that_cannot_be_used_are_explained(service, good_images, tmp_path, arguments, message):
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    result = runner.invoke(app, ["segment", str(good_images), "-o", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("concurrency", [1, 3])
def test_so_many_images_are_under_way_at_a_time(monolayer, service, tmp_path, save_labels, concurrency):
    for i in range(8):
        save_labels(tmp_path / "many" / f"{i}.npy", TWO)
    service.hold_until_under_way = concurrency
    assert monolayer("segment", tmp_path / "many", "-o", tmp_path / "out", "-c", concurrency).exit_code == 0
    assert service.most_under_way == concurrency


def test_a_service_that_is_not_ready_is_waited_for(monolayer, service, good_images, tmp_path):
    service.is_ready = False
    result = monolayer("segment", good_images, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "is not ready; asking it for up to 60 s" in result.stderr


def test_a_service_that_is_not_there_is_named_once(service, good_images, tmp_path, monkeypatch):
    def refuse(request):
        raise httpx2.ConnectError("connection refused")

    transport = httpx2.MockTransport(refuse)
    monkeypatch.setattr(
        cli_service, "make_client", lambda url, patience_s: AsyncClient(url, transport=transport, patience_s=patience_s)
    )
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["segment", str(good_images), "--url", "http://127.0.0.1:1", "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    assert "error: the service at http://127.0.0.1:1 cannot be reached: connection refused" in result.stderr
    assert "Traceback" not in result.output


def test_without_its_libraries_the_command_line_says_what_to_install():
    script = "import sys; sys.modules['typer'] = None\nfrom monolayer_client.__main__ import main\nmain()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "the command line needs typer: pip install 'monolayer-client[cli]'\n"
