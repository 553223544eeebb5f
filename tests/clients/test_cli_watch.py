"""``monolayer watch`` from the command line to its files; what it sees and when is the subject of `watching/`."""

import asyncio
import contextlib
import csv
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from monolayer_client.cli.watch import _spread
from monolayer_client.journal import Journal, Results

changes = pytest.importorskip("monolayer_client.watching.changes", reason="watchfiles is not installed")

TWO_OBJECTS = np.array([[1, 0, 2], [1, 2, 2]])


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def watch(monolayer, monkeypatch, good_images, tmp_path):
    """Run the command over `good_images`; when it has come to rest Ctrl-C is pressed."""

    def run(*arguments, steps=(), out="out"):
        waiting = iter(steps)

        class Scripted:
            async def wait(self, timeout_s):
                for _ in range(200):
                    await asyncio.sleep(0)
                step = next(waiting, None)
                if step is not None:
                    step()
                elif not service_is_busy():
                    signal.raise_signal(signal.SIGINT)

        def service_is_busy():
            return any(task.get_coro().__name__ == "_do" for task in asyncio.all_tasks())

        @contextlib.asynccontextmanager
        async def changes_in(folder, *, recursive):
            yield Scripted()

        monkeypatch.setattr(changes, "changes_in", changes_in)
        return monolayer("watch", good_images, "--out", tmp_path / out, "--settle", "0", *arguments)

    return run


def test_each_image_gets_its_answer_a_line_and_a_row(watch, tmp_path, read_json):
    result = watch()
    assert result.exit_code == 0, result.output
    lines = sorted(line.split("  ", 1)[1] for line in result.stdout.splitlines())
    assert lines == [
        "first  confluency 83.33 %  count 2  low_contrast",
        "third  confluency 0.00 %  count 0  low_contrast",
    ]
    assert read_json(tmp_path / "out" / "first.confluency.json")["count"] == 2
    assert [row["image_id"] for row in table(tmp_path / "out" / "confluency.csv")] == ["first", "third"]
    assert "2 images answered, 0 without an answer" in result.stderr
    assert table(tmp_path / "out" / "failed.csv") == []


def test_images_that_come_later_are_answered_and_their_latency_told(watch, good_images, save_labels, tmp_path):
    result = watch(steps=[lambda: save_labels(good_images / "late.npy", TWO_OBJECTS)])
    assert "late  confluency 83.33 %" in result.stdout
    assert "from the complete file to the answer: median" in result.stderr


def test_what_is_refused_is_listed(watch, good_images, tmp_path):
    (good_images / "broken.png").write_bytes(b"no image")
    result = watch()
    reason = "the bytes are in no image format that is read"
    assert f"{good_images / 'broken.png'}: {reason}" in result.stderr
    assert table(tmp_path / "out" / "failed.csv") == [{"image": "broken.png", "image_id": "broken", "reason": reason}]
    assert "2 images answered, 1 without an answer" in result.stderr
    assert result.exit_code == 1  # as of every command of which an image failed


@pytest.mark.parametrize("command", [[], ["--segment", "-f", "csv"]], ids=["numbers", "objects"])
def test_a_wrong_option_ends_the_watch_with_its_reason_and_leaves_all_results(watch, service, tmp_path, command):
    watch(*command)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    service.unknown_options = {"treshold"}
    result = watch(*command, "--set", "treshold=0.4")
    assert result.exit_code == 1
    reason = "option 'treshold' is not known: did you mean threshold?"
    assert result.stderr.splitlines()[-1] == f"error: the service refuses an option, whatever the image: {reason}"
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    service.requests.clear()
    assert watch(*command).exit_code == 0
    assert service.posts == []


def test_faults_of_the_service_leave_the_results_of_other_options(watch, service, good_images, tmp_path, read_json):
    (good_images / "third.npy").unlink()
    watch()
    service.script.extend([service.fail(500, "internal_error", "it broke")] * 3)
    result = watch("--method", "kmeans")
    assert result.exit_code == 1
    assert [row["image"] for row in table(tmp_path / "out" / "failed.csv")] == ["first.npy"]
    assert read_json(tmp_path / "out" / "first.confluency.json")["method"] == "unet"


def test_a_second_run_and_the_other_commands_find_it_done(watch, monolayer, service, good_images, tmp_path):
    watch()
    service.requests.clear()
    assert "0 images answered, 2 were answered before" in watch().stderr
    assert monolayer("confluency", good_images, "--out", tmp_path / "out").exit_code == 0
    assert service.posts == []


@pytest.mark.parametrize("command", ["watch", "confluency"])
def test_a_folder_of_results_takes_one_program_at_a_time(watch, monolayer, service, tmp_path, *, command):
    with Journal(tmp_path / "out" / "confluency.csv.journal", Results, None):
        result = watch() if command == "watch" else monolayer(command, tmp_path / "images", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"confluency.csv.journal is in use by process {os.getpid()}" in result.stderr
    assert service.posts == []


def test_refused_images_are_asked_about_again_on_demand(watch, service, good_images):
    (good_images / "broken.png").write_bytes(b"no image")
    watch()
    service.requests.clear()
    watch()
    assert service.posts == []
    watch("--retry-failed")
    assert [post.url.params["image_id"] for post in service.posts] == ["broken"]


def test_with_objects_it_writes_what_segment_writes(watch, monolayer, service, good_images, tmp_path):
    watch("--segment", "-f", "csv", "--set", "measurements=true")
    assert (tmp_path / "out" / "third.rle.csv").read_text() == "ImageId,EncodedPixels\nthird,\n"
    service.requests.clear()
    monolayer("segment", good_images, "--out", tmp_path / "out", "-f", "csv", "--set", "measurements=true")
    assert service.posts == []


def test_results_inside_the_watched_folder_are_no_images(watch, good_images, service, tmp_path):
    out = good_images / "results"
    out.mkdir()
    (out / "overlay.png").write_bytes(b"\x89PNG an overlay")
    watch("--recursive", out="images/results")
    assert {post.url.params["image_id"] for post in service.posts} == {"first", "third"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "csv"], "--format needs --segment"),
        (["--settle", "-1"], "--settle"),
    ],
)
def test_what_cannot_be_meant_is_said(watch, arguments, message):
    result = watch(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_results_do_not_go_into_the_watched_folder_itself(watch):
    result = watch(out="images")
    assert result.exit_code == 1
    assert "results would be taken for images" in result.stderr


def test_series_reads_the_results(watch, monolayer, good_images, save_labels, tmp_path):
    for hours in range(4):
        save_labels(good_images / f"A01_{hours:02d}h.npy", TWO_OBJECTS)
    for name in ("first.npy", "third.npy"):
        (good_images / name).unlink()
    watch()
    result = monolayer("series", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "A01" in result.stdout


def test_latencies_are_told_by_median_ninety_five_per_cent_and_longest():
    assert _spread([float(each) for each in range(1, 101)]) == "median 50.50 s, 95 % within 95.00 s, longest 100.00 s"
    assert _spread([2.0]) == "median 2.00 s, 95 % within 2.00 s, longest 2.00 s"


async def test_a_change_in_the_folder_wakes(tmp_path):
    """The one test that listens to a real folder: it ends as soon as the change is told."""
    async with changes.changes_in(tmp_path, recursive=True) as told:
        for number in range(1000):  # the listener may not have begun when the first file is written
            (tmp_path / "a.png").write_bytes(bytes(number))
            if await told.wait(0.1):
                return
    pytest.fail("no change was told")


@pytest.mark.enable_socket
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_a_program_that_waits_for_the_service_ends_in_order_on_sigterm(good_images, tmp_path):
    arguments = ["watch", good_images, "-o", tmp_path / "out", "--settle", "0", "--url", "http://127.0.0.1:9"]
    command = [sys.executable, "-m", "monolayer_client", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        lost = threading.Timer(60, program.kill)
        lost.start()
        first = program.stderr.readline()
        program.send_signal(signal.SIGTERM)
        rest = program.stderr.read()
        lost.cancel()
    assert "images wait" in first
    assert "0 images answered, 0 without an answer" in rest
    assert program.returncode == 0
