"""Files of a folder or of a zip archive behind one small interface; an archive is read without being unpacked."""

import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from monolayer_trainer.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy"})


class Files(Protocol):
    """Names, relative to the source and with forward slashes, and their bytes."""

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102 - described above

    def read(self, name: str) -> bytes: ...  # noqa: D102


class FolderFiles:
    """The files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        self.names = tuple(sorted(path.as_posix() for path in files if _is_visible(path.as_posix())))

    def read(self, name: str) -> bytes:
        """Bytes of one file."""
        return (self._folder / name).read_bytes()


class ZipFiles:
    """The members of a zip archive. Reading from several threads is safe: `zipfile` locks its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DatasetError(f"{path} is no readable zip archive: {error}") from error
        members = (info.filename for info in self._archive.infolist() if not info.is_dir())
        self.names = tuple(sorted(name for name in members if _is_visible(name)))

    def read(self, name: str) -> bytes:
        """Bytes of one member."""
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, EOFError) as error:
            raise DatasetError(f"{self._path}: {name} is damaged: {error}") from error


def open_files(source: Path) -> Files:
    """Open a folder or a zip archive.

    Raises
    ------
    DatasetError
        The source is neither.
    """
    if source.is_dir():
        return FolderFiles(source)
    if source.is_file():
        return ZipFiles(source)
    raise DatasetError(f"{source} is neither a folder nor a zip archive")


def images_by_stem(names: Iterable[str], folder: str | None = None) -> dict[str, str]:
    """Find images by their name without folder and suffix.

    Parameters
    ----------
    names
        Of all files.
    folder
        Only look at files that lie directly in a folder of this name.

    Raises
    ------
    DatasetError
        Two files have the same name: which one is meant would be a guess.
    """
    found: dict[str, str] = {}
    for name in filter(is_image, names):
        path = PurePosixPath(name)
        if folder is not None and path.parent.name != folder:
            continue
        if path.stem in found:
            raise DatasetError(f"{found[path.stem]} and {name} have the same name, which one is meant is not known")
        found[path.stem] = name
    return found


def is_image(name: str) -> bool:
    """Tell by its suffix whether a file is an image."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _is_visible(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
