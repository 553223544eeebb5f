"""Sizes and true objects out of image files: the one place of this package that decodes images.

It needs the extra ``score``; everything else does without, so nothing here is imported before it is called for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from monolayer_client.errors import InputError
from monolayer_client.file_sources import FileSource
from monolayer_core.arrays import LabelImage, Pixels
from monolayer_core.errors import ImageError
from monolayer_core.truth import mask_from_pixels, merge_masks, number_consecutively, numbers_from_pixels


def image_size(source: FileSource, name: str) -> tuple[int, int]:
    """Read height and width of an image from its header.

    Raises
    ------
    InputError
        The file is no image, or the extra ``score`` is not installed.
    """
    with _explained(source, name):
        from monolayer_core.image_io import read_header

        header = read_header(source.read(name))
    return header.height, header.width


def read_labels(source: FileSource, name: str) -> LabelImage:
    """Read a label image, its objects renumbered 1 to N.

    Raises
    ------
    InputError
        The file is no label image, or the extra ``score`` is not installed.
    """
    with _explained(source, name):
        return number_consecutively(numbers_from_pixels(_decode(source, name)))


def read_masks(source: FileSource, names: Sequence[str]) -> LabelImage:
    """Read one mask file per object into a label image; there is at least one.

    Raises
    ------
    InputError
        A file is no mask, their sizes differ, or the extra ``score`` is not installed.
    """
    masks = []
    for name in names:
        with _explained(source, name):
            masks.append(mask_from_pixels(_decode(source, name)))
    with _explained(source, names[0]):
        return merge_masks(masks, *masks[0].shape)


def _decode(source: FileSource, name: str) -> Pixels:
    from monolayer_core.image_io import decode_image

    return decode_image(source.read(name)).pixels


@contextmanager
def _explained(source: FileSource, name: str) -> Iterator[None]:
    """Say which file it was, or what is to be installed."""
    try:
        yield
    except ImageError as error:
        raise InputError(f"{source.path / name}: {error}") from error
    except ImportError as error:
        message = "reading image files needs more libraries: pip install 'monolayer-client[score]'"
        raise InputError(message) from error
