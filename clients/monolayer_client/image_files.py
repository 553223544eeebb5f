"""Which images are meant by what stands on a command line, and what each of them is called.

A folder or zip archive in Kaggle's layout (``ImageId/images/ImageId.png``) gives one image per id and leaves the masks
alone. Any other gives the images that lie in its folder ``images`` where there is one, else those that lie highest in
it; each is called by its file name without suffix.
"""

import glob
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from monolayer_client.errors import InputError
from monolayer_client.file_sources import FileSource, SingleFile, by_stem, is_image, open_source


@dataclass(frozen=True)
class ImageFile:
    """One image: what it is called, and where its bytes are."""

    image_id: str
    name: str
    source: FileSource

    def read(self) -> bytes:
        """Give the bytes of the file."""
        return self.source.read(self.name)

    def has_sha256(self, digest: str) -> bool:
        """Tell whether the bytes of the file have this SHA-256, in hexadecimal digits; no if they cannot be read."""
        try:
            return hashlib.sha256(self.read()).hexdigest() == digest
        except (InputError, OSError):
            return False

    def __str__(self) -> str:
        return str(self.source.path / self.name)


def find_images(inputs: Sequence[str]) -> list[ImageFile]:
    """Find the images of files, folders, zip archives and patterns such as ``plate1/*.tif``, in order.

    Raises
    ------
    InputError
        One of them is not there or holds no image, or two images would have the same name.
    """
    images: dict[str, ImageFile] = {}
    for text in inputs:
        for path in _expand(text):
            for image in _images_of(path):
                other = images.setdefault(image.image_id, image)
                if str(other) != str(image):
                    raise InputError(f"{other} and {image} would both be called {image.image_id}")
    return list(images.values())


def image_names(source: FileSource) -> dict[str, str]:
    """Names of the images of a folder or archive by what they are called."""
    images = [name for name in source.names if is_image(name)]
    in_images = lying_in(images, "images")
    below_ids = [name for name in in_images if name.count("/") >= 2]
    if below_ids:
        return {PurePosixPath(name).parts[-3]: name for name in below_ids}
    return by_stem(source, in_images or highest(images))


def lying_in(names: Iterable[str], folder: str) -> list[str]:
    """Names that lie directly in folders of this name."""
    return [name for name in names if f"/{name}".rpartition("/")[0].endswith(f"/{folder}")]


def highest(names: Sequence[str]) -> list[str]:
    """Names with the fewest folders above them."""
    depth = min((name.count("/") for name in names), default=0)
    return [name for name in names if name.count("/") == depth]


def _expand(text: str) -> list[Path]:
    """Give what a pattern matches, or the path itself; the shell does not expand patterns on every system."""
    if Path(text).exists() or not glob.has_magic(text):
        return [Path(text)]
    matches = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 - takes absolute patterns
    found = [path for path in matches if path.is_dir() or is_image(path.name)]
    if not found:
        raise InputError(f"no image matches {text}")
    return found


def _images_of(path: Path) -> list[ImageFile]:
    if path.is_file() and path.suffix.lower() != ".zip":
        if not is_image(path.name):
            raise InputError(f"{path} has no suffix of an image format that is read")
        return [ImageFile(path.stem, path.name, SingleFile(path))]
    source = open_source(path)
    images = [ImageFile(image_id, name, source) for image_id, name in image_names(source).items()]
    if not images:
        raise InputError(f"{path} holds no image")
    return images
