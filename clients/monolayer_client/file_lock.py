"""A lock that one program at a time holds; the system takes it back when the program ends, however it ends."""

import contextlib
import errno
import os
import platform
import sys
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from monolayer_client.errors import InputError

_NO_LOCKS_HERE = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""What a file system says that knows no locks, as those of some network drives."""


class FileLock:
    """Hold a lock while in its context; a file says meanwhile who holds it.

    Where the file system knows no locks there is none to hold, and nobody is kept out.

    Parameters
    ----------
    path : Path
        The file, made and removed by the lock; its folder is made when it is not there.
    what : str
        What is locked, for the message.

    Raises
    ------
    InputError
        On entering: another holds it; the message says which process, and where.
    OSError
        On entering: the file cannot be made.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while self._file is None:
            file = self._path.open("a+b")
            try:
                _lock(file)
                # A holder that ended meanwhile took the file away: the next to come would lock another of that name.
                if self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    self._file = file
            except (BlockingIOError, PermissionError):
                raise InputError(
                    f"{self._what} is in use by {self._holder()}: wait until that has ended, or write elsewhere"
                ) from None
            finally:
                if self._file is None:
                    file.close()
        file.truncate(0)
        since = datetime.now().astimezone()
        file.write(f"process {os.getpid()} on {platform.node()} since {since:%Y-%m-%d %H:%M:%S}".encode())
        file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        if sys.platform != "win32":
            self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        if sys.platform == "win32":  # an open file cannot be removed there: neither ours before, nor another's now
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _holder(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8") or "another process"
        except (OSError, ValueError):
            return "another process"


if sys.platform == "win32":
    import msvcrt

    _FAR_BEHIND = 1 << 30
    """Locked bytes cannot be read by others: the lock is on one behind those that say who holds it."""

    def _lock(file: BinaryIO) -> None:
        file.seek(_FAR_BEHIND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise
