"""Which files of a folder are answers."""

import pytest

from monolayer_client.answer_files import find_answers, read_answer, read_summary
from monolayer_client.errors import InputError
from monolayer_client.outputs import summary_row, to_summary


@pytest.fixture
def folder(tmp_path):
    for name in ("b.json", "a.confluency.json", "b.confluency.json", "c.json", "summary.csv"):
        (tmp_path / name).write_text('{"confluency": {}}')
    return tmp_path


def names(paths):
    return [path.name for path in paths]


def test_of_both_kinds_that_with_objects_is_taken(folder):
    assert names(find_answers([folder])) == ["a.confluency.json", "b.json", "c.json"]


def test_only_those_with_objects(folder):
    assert names(find_answers([folder], with_objects=True)) == ["b.json", "c.json"]


def test_a_file_is_taken_as_it_is_named_and_once(folder):
    named = folder / "a.confluency.json"
    assert find_answers([named, folder, named]) == [named, folder / "b.json", folder / "c.json"]


def test_what_is_not_there_is_said(folder):
    with pytest.raises(InputError, match="does not exist"):
        find_answers([folder / "missing"])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="holds no answers"):
        find_answers([folder / "empty"])


@pytest.mark.parametrize("text", ["", "[1]", '{"error": {}}'])
def test_other_files_are_no_answers(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match="holds no answer of the service"):
        read_answer(path)


def answer(image_id, **changes):
    return {
        "image_id": image_id,
        "method": "unet",
        "model": {"name": "cells", "version": "0.2.0"},
        "confluency": {"percent": 12.5, "of": "cell"},
        "count": 7,
        "fallback": None,
        "quality": {"flags": ["out_of_focus", "saturated"]},
    } | changes


def test_the_table_of_a_run_is_read_as_its_answers(tmp_path):
    written = [answer("a, 1"), answer("b", method="kmeans", model=None, quality={"flags": []})]
    path = tmp_path / "confluency.csv"
    path.write_bytes(to_summary(map(summary_row, written)))
    assert read_summary(path) == [{key: one[key] for key in one if key != "fallback"} for one in written]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,id,class\na,1,cell\n", "no summary of `segment` or `confluency`: give the folder"),
        (to_summary([summary_row(answer("a", count="many"))]).decode(), "line 2: confluency_percent and count must be"),
    ],
)
def test_another_table_is_refused(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_summary(path)
