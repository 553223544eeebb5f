"""An image is lost when the table lacks it, and repeated when the journal holds it twice."""

import json

import pytest
from benchmarks.submitting import judge_submission, write_images


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", b"an image", 3)
    return tmp_path


def write(folder, in_table, in_journal):
    rows = ["ImageId,EncodedPixels", *(f"image0000{number},1 2" for number in in_table)]
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    lines = [{"format": 1}, *({"image_id": f"image0000{number}"} for number in in_journal)]
    (folder / "table.csv.journal").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("in_table", "in_journal", "answered", "expected"),
    [
        pytest.param([0, 0, 1, 2], [0, 1, 2], 3, (0, 0, 0), id="all there, one with two objects"),
        pytest.param([0, 2], [0, 2], 2, (1, 0, 1), id="one lost"),
        pytest.param([0, 1, 2, 7], [0, 1, 2], 3, (1, 0, 1), id="one that was never sent"),
        pytest.param([0, 1, 2], [0, 1, 1, 2], 3, (0, 1, 1), id="one noted twice"),
        pytest.param([0, 1, 2], [0, 1, 2], 5, (0, 0, 2), id="two computed twice"),
    ],
)
def test_a_submission_is_judged(folder, in_table, in_journal, answered, expected):
    write(folder, in_table, in_journal)
    found = judge_submission(folder / "images", folder / "table.csv", status=0, answered=answered)
    assert found.images == 3
    assert (found.lost, found.repeated, found.wrong) == expected


def test_without_a_table_all_are_lost(folder):
    assert judge_submission(folder / "images", folder / "table.csv", status=1, answered=0).lost == 3
