"""The journal of a run: which images are done, so that a second run goes on where the first ended.

A text file beside the table that the run makes, with one JSON object a line. The first line says with which options the
journal was made; each other line holds one finished image, or says that one is being done again. A line is written when
its image is done, so that at worst the last one is torn, and a torn line is an image that is done again.
"""

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Self, TextIO, TypeVar

from monolayer_client.errors import InputError
from monolayer_client.file_lock import FileLock
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
    """Result files of an image: what they were made with, how their names end, and the image's row of the summary.

    Of an image that the service refused there are none, and `refused` says why. Journals begun by earlier versions have
    no rows.
    """

    options: dict[str, Any]
    suffixes: tuple[str, ...]
    refused: str | None = None
    row: dict[str, Any] | None = None


E = TypeVar("E", bound=Entry)


class Journal(Generic[E]):
    """Finished images of one run, kept in a file; use it as a context manager to add some, one program at a time.

    Parameters
    ----------
    path : Path
        The file; made when it is not there.
    kind : type
        What an entry is.
    options : dict or None
        What all answers depend on besides the images, JSON-able; None where each entry says it for itself.
    is_new : bool
        Whether a journal that is there is replaced when this one is entered.

    Raises
    ------
    InputError
        The file is no journal, is damaged, or was made with other options: its entries would not belong together. On
        entering also: another program is adding to it.
    """

    def __init__(self, path: Path, kind: type[E], options: dict[str, Any] | None, *, is_new: bool = False) -> None:
        self.path = path
        self.entries: dict[str, E] = {}
        self._kind = kind
        self._head = {"format": FORMAT, "options": options}
        self._is_new = is_new
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), str(path))
        self._file: TextIO | None = None
        self._open = ExitStack()
        self._read()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._lock)
            self._read()  # another program may have added to it since
            # Written anew on opening: this drops a torn last line, and entries that were done again.
            lines = [self._head, *(asdict(entry) for entry in self.entries.values())]
            write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode())
            self._file = stack.enter_context(self.path.open("a", encoding="utf-8", newline="\n"))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._file = None

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
        self.entries.clear()
        if self._is_new or not self.path.exists() or not self.path.stat().st_size:
            return
        head, *lines = self.path.read_bytes().split(b"\n")
        try:
            found = json.loads(head)
        except ValueError:
            raise InputError(f"{self.path} is no journal: move it away") from None
        if found != self._head:
            raise InputError(f"{self.path} was made with other options: run with --restart or move it away")
        for number, line in enumerate(lines[:-1], start=2):  # behind the last line end is nothing, or a torn line
            try:
                self._take(json.loads(line))
            except (AttributeError, TypeError, ValueError):
                raise InputError(
                    f"{self.path} is damaged: line {number} cannot be read. Take that line out, or move the file away: "
                    "images without a line are done again"
                ) from None

    def _take(self, values: dict[str, Any]) -> None:
        if "dropped" in values:
            self.entries.pop(values["dropped"], None)
            return
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        entry = self._kind(**{**values, **lists})
        self.entries[entry.image_id] = entry
