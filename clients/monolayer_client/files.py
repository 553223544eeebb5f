"""Files that are either there whole or not there at all."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self


class StagedFiles:
    """Files that come to their places together: until `move_in` what was there before stays; use as a context manager.

    They wait beside their places. Leaving the context removes those that were not moved in.
    """

    def __init__(self) -> None:
        self._waiting: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for beside in self._waiting.values():
            beside.unlink(missing_ok=True)

    def put(self, path: Path, data: bytes) -> None:
        """Write a file beside its place.

        Raises
        ------
        OSError
            It cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._waiting[path] = beside
        beside.write_bytes(data)

    def move_in(self) -> None:
        """Move the files to their places, in the order in which they were put.

        Raises
        ------
        OSError
            One cannot be moved; those before it are in their places.
        """
        for path, beside in self._waiting.items():
            beside.replace(path)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there, so that nobody meets half of it.

    Raises
    ------
    OSError
        It cannot be written; an older file of that name is untouched.
    """
    with StagedFiles() as files:
        files.put(path, data)
        files.move_in()
