"""The journal of a run: which images are done, so that a second run goes on where the first ended.

A text file beside the table that the run makes, with one JSON object a line. The first line says with which options the
journal was made; each other line holds one finished image, or says that one is being done again. A line is written when
its image is done, so that at worst the last one is torn, and a torn line is an image that is done again.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Self, TextIO, TypeVar

from monolayer_client.errors import InputError
from monolayer_client.files import write_atomically

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """One finished image; `sha256` is that of the image file."""

    image_id: str
    sha256: str


@dataclass(frozen=True)
class Rows(Entry):
    """The run-length rows of an image, its size, and who found them."""

    height: int
    width: int
    rows: tuple[str, ...]
    method: str
    model: str | None
    fallback: str | None


@dataclass(frozen=True)
class Results(Entry):
    """Result files of an image: what they were made with, and how their names end.

    Of an image that the service refused there are none, and `refused` says why.
    """

    options: dict[str, Any]
    suffixes: tuple[str, ...]
    refused: str | None = None


E = TypeVar("E", bound=Entry)


class Journal(Generic[E]):
    """Finished images of one run, kept in a file; use it as a context manager.

    Parameters
    ----------
    path : Path
        The file; made when it is not there.
    kind : type
        What an entry is.
    options : dict or None
        What all answers depend on besides the images, JSON-able; None where each entry says it for itself.

    Raises
    ------
    InputError
        The file is no journal or was made with other options: its entries would not belong together.
    """

    def __init__(self, path: Path, kind: type[E], options: dict[str, Any] | None) -> None:
        self.path = path
        self.entries: dict[str, E] = {}
        self._kind = kind
        self._head = {"format": FORMAT, "options": options}
        self._file: TextIO | None = None
        if path.exists() and path.stat().st_size:
            self._read()

    def __enter__(self) -> Self:
        # Written anew on opening: this drops a torn last line, and entries that were done again.
        lines = [self._head, *(asdict(entry) for entry in self.entries.values())]
        write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode())
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, entry: E) -> None:
        """Note a finished image."""
        self.entries[entry.image_id] = entry
        self._write(asdict(entry))

    def drop(self, image_id: str) -> None:
        """Take an image out that is done again: broken off half-way, it must not leave new files under an old entry."""
        if self.entries.pop(image_id, None) is not None:
            self._write({"dropped": image_id})

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def _read(self) -> None:
        head, *lines = self.path.read_text(encoding="utf-8").split("\n")
        try:
            found = json.loads(head)
        except ValueError:
            raise InputError(f"{self.path} is no journal: move it away") from None
        if found != self._head:
            raise InputError(f"{self.path} was made with other options: run with --restart or move it away")
        for line in lines[:-1]:  # behind the last line end there is nothing, or a torn line
            values = json.loads(line)
            if "dropped" in values:
                self.drop(values["dropped"])
                continue
            lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
            self.add(self._kind(**{**values, **lists}))
