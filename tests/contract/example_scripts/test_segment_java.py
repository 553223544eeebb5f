"""The Java example, run."""

import json

import pytest
from tests.contract.example_scripts.programs import SCRIPTS, needs_java_11, run

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]


@needs_java_11
def test_the_java_example_prints_what_was_found(url, blobs_png, tmp_path):
    (tmp_path / "two words.png").write_bytes(blobs_png)
    done = run("java", SCRIPTS / "Segment.java", "two words.png", url, "answer.json", cwd=tmp_path)
    answer = json.loads((tmp_path / "answer.json").read_bytes())
    assert answer["count"] == 3
    percent = answer["confluency"]["percent"]
    assert done.stdout == f"two words: 3 objects, confluency {percent:.2f} %, by unet\n"


@needs_java_11
def test_the_java_example_says_what_is_wrong(url, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    done = run("java", SCRIPTS / "Segment.java", "broken.png", url, cwd=tmp_path, status=1)
    assert done.stderr.startswith("415: ")
    assert run("java", SCRIPTS / "Segment.java", cwd=tmp_path, status=2).stderr.startswith("usage: java Segment.java")
