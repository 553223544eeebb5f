"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from monolayer_client.files import write_atomically


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
