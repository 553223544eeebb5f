"""Which files of a folder are answers."""

import pytest

from monolayer_client.answer_files import find_answers, read_answer
from monolayer_client.errors import InputError


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
