"""What may be handed in as an image, and how it travels: as the bytes of its file, never decoded here."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class FileContent:
    """The bytes of an image file that were read already, and its name without folders."""

    content: bytes
    file_name: str


ImageInput: TypeAlias = bytes | FileContent | str | os.PathLike[str] | npt.NDArray[Any]
"""The bytes of an image file, with or without its name, the path of one, or an array ``(y, x)`` or ``(y, x, 3)`` RGB of
pixels as measured."""

_MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"\x93NUMPY", "application/x-npy"),
)


@dataclass(frozen=True)
class ImageBody:
    """The body of a request: bytes, their media type, and the name of their file where there is one."""

    content: bytes
    media_type: str
    file_name: str | None = None

    @property
    def image_id(self) -> str | None:
        """What the image is called unless the caller says otherwise."""
        return None if self.file_name is None else Path(self.file_name).stem

    @property
    def headers(self) -> dict[str, str]:
        """What is sent along to describe the body."""
        named = {} if self.file_name is None else {"Content-Disposition": _disposition(self.file_name)}
        return {"Content-Type": self.media_type, **named}


def make_body(image: ImageInput) -> ImageBody:
    """Read an image into the body of a request; a file gives the image its name, without folder and suffix.

    Arrays are sent as ``.npy``, value for value.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        The array holds Python objects.
    """
    if isinstance(image, np.ndarray):
        file = io.BytesIO()
        np.save(file, np.ascontiguousarray(image), allow_pickle=False)
        return ImageBody(file.getvalue(), "application/x-npy")
    if isinstance(image, bytes):
        return ImageBody(image, media_type_of(image))
    if isinstance(image, FileContent):
        return ImageBody(image.content, media_type_of(image.content), image.file_name)
    path = Path(image)
    content = path.read_bytes()
    return ImageBody(content, media_type_of(content), path.name)


def _disposition(file_name: str) -> str:
    """Write a file name of any characters for the header ``Content-Disposition`` (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"


def media_type_of(content: bytes) -> str:
    """Tell the media type of an image file by its first bytes.

    What is not recognised is sent under the name of PNG: the service looks at the bytes, not at the name, and says
    better than the client could what is wrong with them.
    """
    return next((media_type for magic, media_type in _MAGIC if content.startswith(magic)), "image/png")
