"""The journal of a submission, also after a crash."""

import os

import pytest

from monolayer_client.errors import InputError
from monolayer_client.journal import Journal, Results, Rows

FIRST = Rows("a", "0" * 64, 2, 3, ("1 2", "4 3"), "unet", "nuclei 1", None)
SECOND = Rows("b", "1" * 64, 2, 3, (), "kmeans", None, "no network")
OPTIONS = {"method": "auto"}


def entries_of(path, options=OPTIONS):
    with Journal(path, Rows, options) as journal:
        return list(journal.entries.values())


def test_what_was_noted_is_there_the_next_time(tmp_path):
    path = tmp_path / "sub" / "s.csv.journal"
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        journal.add(SECOND)
    assert entries_of(path) == [FIRST, SECOND]
    assert entries_of(path) == [FIRST, SECOND]


def test_entries_are_on_disk_before_the_journal_is_closed(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        assert list(Journal(path, Rows, OPTIONS).entries.values()) == [FIRST]


@pytest.mark.parametrize("cut", [1, 5, 60], ids=lambda cut: f"{cut} characters short")
def test_a_torn_last_line_is_forgotten(tmp_path, cut):
    path = tmp_path / "journal"
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        journal.add(SECOND)
    path.write_bytes(path.read_bytes()[:-cut])
    assert entries_of(path) == [FIRST]
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(SECOND)
    assert entries_of(path) == [FIRST, SECOND]


def test_an_image_done_again_replaces_the_first(tmp_path):
    path = tmp_path / "journal"
    again = Rows("a", "2" * 64, 2, 3, (), "unet", "nuclei 2", None)
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        journal.add(again)
    assert entries_of(path) == [again]
    assert len(path.read_text().splitlines()) == 2


def test_answers_to_other_options_are_not_mixed_in(tmp_path):
    path = tmp_path / "journal"
    entries_of(path)
    with pytest.raises(InputError, match="--restart"):
        entries_of(path, {"method": "kmeans"})


def test_another_file_is_not_taken_for_a_journal(tmp_path):
    path = tmp_path / "journal"
    path.write_text("ImageId,EncodedPixels\n")
    with pytest.raises(InputError, match="no journal"):
        entries_of(path)
    assert path.read_text() == "ImageId,EncodedPixels\n"


def test_of_two_at_once_the_second_is_told_who_is_there_and_nothing_is_lost(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        with pytest.raises(InputError, match=rf"journal is in use by process {os.getpid()} on .+ since "):
            entries_of(path)
        with pytest.raises(InputError, match="in use"), Journal(path, Rows, OPTIONS, is_new=True):
            pass
        journal.add(SECOND)
    assert entries_of(path) == [FIRST, SECOND]
    assert [each.name for each in tmp_path.iterdir()] == ["journal"]


def test_what_another_program_added_between_reading_and_entering_is_kept(tmp_path):
    path = tmp_path / "journal"
    late = Journal(path, Rows, OPTIONS)
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
    with late:
        late.add(SECOND)
    assert entries_of(path) == [FIRST, SECOND]


def test_a_new_journal_replaces_one_of_other_options(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, Rows, {"method": "kmeans"}) as journal:
        journal.add(FIRST)
    with Journal(path, Rows, OPTIONS, is_new=True) as journal:
        journal.add(SECOND)
    assert entries_of(path) == [SECOND]


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"image_id": "a", "sha2',
        b"\x00\x00\x00\x00",
        b"\xff\xfe{}",
        b'{"image_id": "a"}',
        b'{"dropped": ["a"]}',
        b"[1, 2]",
        b"null",
        b"",
    ],
    ids=repr,
)
def test_a_damaged_line_is_named_and_nothing_is_lost(tmp_path, damaged):
    path = tmp_path / "journal"
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        journal.add(SECOND)
    head, first, second, _ = path.read_bytes().split(b"\n")
    content = b"\n".join([head, first, damaged, second, b""])
    path.write_bytes(content)
    with pytest.raises(InputError, match="line 3 cannot be read"):
        entries_of(path)
    assert path.read_bytes() == content
    path.write_bytes(b"\n".join([head, first, second, b""]))
    assert entries_of(path) == [FIRST, SECOND]


def test_an_empty_file_is_an_empty_journal(tmp_path):
    path = tmp_path / "journal"
    path.touch()
    assert entries_of(path) == []


def test_results_come_back_with_their_options(tmp_path):
    path = tmp_path / "journal"
    results = Results("a", "0" * 64, {"method": "kmeans", "pixel_size_um": 0.65}, (".json", ".rle.csv"))
    with Journal(path, Results, None) as journal:
        journal.add(results)
    assert Journal(path, Results, None).entries == {"a": results}


def test_a_journal_of_a_submission_is_not_taken_for_one_of_results(tmp_path):
    path = tmp_path / "journal"
    entries_of(path, {})
    with pytest.raises(InputError, match="move it away"):
        Journal(path, Results, None)


def test_an_image_that_is_being_done_again_has_no_entry(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, Rows, OPTIONS) as journal:
        journal.add(FIRST)
        journal.add(SECOND)
        journal.drop("a")
        journal.drop("unknown")
        assert list(Journal(path, Rows, OPTIONS).entries.values()) == [SECOND]  # as after a crash
    assert entries_of(path) == [SECOND]
    assert len(path.read_text().splitlines()) == 2


def test_a_refusal_comes_back_with_its_reason(tmp_path):
    path = tmp_path / "journal"
    refused = Results("a", "0" * 64, {}, (), "no image")
    with Journal(path, Results, None) as journal:
        journal.add(refused)
    assert Journal(path, Results, None).entries == {"a": refused}
