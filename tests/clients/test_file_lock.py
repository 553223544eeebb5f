"""A lock between programs."""

import errno
import subprocess
import sys

import pytest

from monolayer_client import file_lock
from monolayer_client.errors import InputError
from monolayer_client.file_lock import FileLock

HOLDER = """
import sys
from pathlib import Path
from monolayer_client.file_lock import FileLock
with FileLock(Path(sys.argv[1]), "the journal"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / ".journal.lock"


def hold(path):
    with FileLock(path, "the journal"):
        return path.read_text()


@pytest.fixture
def holder(path):
    """Another program that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "held\n"
        yield program
        program.kill()


def test_another_program_is_named(path, holder):
    with pytest.raises(InputError, match=rf"^the journal is in use by process {holder.pid} on .+: wait until"):
        hold(path)
    holder.communicate("")
    assert holder.returncode == 0
    hold(path)


def test_a_program_that_was_killed_holds_nothing(path, holder):
    holder.kill()
    holder.wait()
    assert path.exists()
    assert f"process {holder.pid} " not in hold(path)
    assert not path.exists()


def test_a_lock_can_be_held_again_and_leaves_no_file(path):
    lock = FileLock(path, "the journal")
    for _ in range(2):
        with lock:
            assert path.exists()
        assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_file_that_its_holder_took_away_meanwhile_is_no_lock(path, monkeypatch):
    """Between opening and locking the holder ends; what is locked must be the file that the next will find."""
    lock, removals = file_lock._lock, [path]

    def remove_and_lock(file):
        for each in removals:
            each.unlink()
        removals.clear()
        lock(file)

    monkeypatch.setattr(file_lock, "_lock", remove_and_lock)
    with FileLock(path, "the journal"), pytest.raises(InputError, match="in use"):
        hold(path)


@pytest.mark.skipif(sys.platform == "win32", reason="what is asked is the lock of POSIX systems")
def test_a_file_system_without_locks_keeps_nobody_out(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "operation not supported")

    monkeypatch.setattr(file_lock.fcntl, "flock", refuse)
    with FileLock(path, "the journal"):
        hold(path)
