"""What is seen of a folder at one moment: its files, and what tells one content from another without reading it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from monolayer_client.file_sources import is_image

_TEMPORARY_SUFFIXES = frozenset(
    {".crdownload", ".filepart", ".lock", ".part", ".partial", ".swp", ".temp", ".tmp", ".writing"}
)


@dataclass(frozen=True)
class Stamp:
    """Size in bytes and time of the last change, in nanoseconds since 1970 by the clock of the file system."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Sighting:
    """A file as it was seen; `file_id` stays the same when it gets another name, None where that is not known."""

    stamp: Stamp
    file_id: tuple[int, int] | None


def look(folder: Path, *, recursive: bool, leave_out: Path | None = None) -> dict[str, Sighting]:
    """See the files of a folder, also those with hidden and temporary names.

    Parameters
    ----------
    folder : Path
        Where.
    recursive : bool
        Whether the folders in it are looked into, save hidden ones, links, and those that may not be read.
    leave_out : Path, optional
        A folder that is not looked into, such as that of the results.

    Returns
    -------
    dict
        By name relative to `folder`, with forward slashes.

    Raises
    ------
    OSError
        The folder cannot be read, as where a network drive is gone.
    """
    found: dict[str, Sighting] = {}
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    path = here / entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if recursive and not entry.name.startswith((".", "__MACOSX")) and path != leave_out:
                            waiting.append(path)
                    elif entry.is_file() and (sighting := sight(path)) is not None:
                        found[path.relative_to(folder).as_posix()] = sighting
        except (FileNotFoundError, PermissionError):
            if here == folder:
                raise
            # A folder inside that went away meanwhile, or is not for us, holds nothing.
    return found


def sight(path: Path) -> Sighting | None:
    """See one file; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    file_id = (status.st_dev, status.st_ino) if status.st_ino else None
    return Sighting(Stamp(status.st_size, status.st_mtime_ns), file_id)


def is_candidate(name: str) -> bool:
    """Tell by its name whether a file is to be answered: an image, neither hidden nor temporary.

    Examples
    --------
    >>> [is_candidate(name) for name in ("a.tif", "day1/a.tif", ".a.tif", "~a.tif", "a.tif.part", "a.tmp.tif", "a.txt")]
    [True, True, False, False, False, False, False]
    """
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "~")) for part in path.parts)
    return is_image(name) and not hidden and not _TEMPORARY_SUFFIXES & {suffix.lower() for suffix in path.suffixes}


def image_id_of(name: str) -> str:
    """Name of the image in its answer and its files: that of the file, and of the folders it lies in.

    Examples
    --------
    >>> image_id_of("day1/A01.tif")
    'day1_A01'
    """
    return "_".join(PurePosixPath(name).with_suffix("").parts)


def files_by_id(files: Mapping[str, Sighting]) -> dict[tuple[int, int], str]:
    """Names by what stays the same when a file is renamed."""
    return {sighting.file_id: name for name, sighting in files.items() if sighting.file_id is not None}
