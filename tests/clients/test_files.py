"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from monolayer_client.files import StagedFiles, write_atomically


def test_a_file_is_written_with_its_folder(tmp_path):
    write_atomically(tmp_path / "new" / "file.json", b"{}")
    assert (tmp_path / "new" / "file.json").read_bytes() == b"{}"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.json"]


def test_an_older_file_stays_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    path.write_bytes(b"older")

    def fail(self, data):
        self.touch()
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


def test_staged_files_come_to_their_places_together(tmp_path):
    (tmp_path / "a").write_bytes(b"older")
    with StagedFiles() as files:
        files.put(tmp_path / "a", b"newer")
        files.put(tmp_path / "deep" / "b", b"new")
        assert (tmp_path / "a").read_bytes() == b"older"
        assert not (tmp_path / "deep" / "b").exists()
        files.move_in()
    assert (tmp_path / "a").read_bytes() == b"newer"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "deep"]
    assert (tmp_path / "deep" / "b").read_bytes() == b"new"


def test_staged_files_that_are_given_up_leave_no_trace(tmp_path):
    (tmp_path / "a").write_bytes(b"older")

    def give_up():
        with StagedFiles() as files:
            files.put(tmp_path / "a", b"newer")
            raise RuntimeError("given up")

    with pytest.raises(RuntimeError, match="given up"):
        give_up()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"older"
