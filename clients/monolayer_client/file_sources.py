"""Files of a folder or of a zip archive, by name; an archive is read without being unpacked."""

import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from monolayer_client.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy")


class FileSource(Protocol):
    """Somewhere that files come from.

    Attributes
    ----------
    path : Path
        The folder or archive.
    names : tuple of str
        Files in it, relative to `path`, with forward slashes, sorted; hidden ones left out.
    """

    path: Path
    names: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """Give the bytes of one file."""


class Folder:
    """The files below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = _visible(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())

    def read(self, name: str) -> bytes:
        """Give the bytes of one file."""
        return (self.path / name).read_bytes()


class SingleFile:
    """One file that was named itself."""

    def __init__(self, path: Path) -> None:
        self.path = path.parent
        self.names: tuple[str, ...] = (path.name,)

    def read(self, name: str) -> bytes:
        """Give the bytes of the file."""
        return (self.path / name).read_bytes()


class Archive:
    """The members of a zip archive; threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise InputError(f"{path} is no zip archive: {error}") from error
        self.names = _visible(member.filename for member in self._zip.infolist() if not member.is_dir())

    def read(self, name: str) -> bytes:
        """Give the bytes of one member."""
        try:
            with self._lock:
                return self._zip.read(name)
        except (zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"{self.path}: {name} is damaged: {error}") from error


def open_source(path: Path) -> FileSource:
    """Open a folder or a zip archive.

    Raises
    ------
    InputError
        It is neither.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Archive(path)
    raise InputError(f"{path} is not there")


def is_image(name: str) -> bool:
    """Tell by the suffix whether a file is an image of a kind the service reads."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def by_stem(source: FileSource, names: Iterable[str]) -> dict[str, str]:
    """Find files by their names without folder and suffix.

    Raises
    ------
    InputError
        Two of them have the same.
    """
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(PurePosixPath(name).stem, name)
        if other != name:
            raise InputError(f"{source.path}: {other} and {name} would both be called {PurePosixPath(name).stem}")
    return found


def _visible(names: Iterable[str]) -> tuple[str, ...]:
    hidden = ("/.", "/__MACOSX")
    return tuple(sorted(name for name in names if not any(mark in f"/{name}" for mark in hidden)))
