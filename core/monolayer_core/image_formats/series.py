"""Which image is meant of a file that holds several: positions, fields, scans of one slide.

Bio-Formats, and so Fiji and QuPath, call each of them a series, and number them from 0 in the order of their
description; so does this module. Nothing is guessed: of several images the caller names one.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from monolayer_core.errors import AmbiguousAxesError, OptionError, UnusableImageError
from monolayer_core.image_formats.axes import listed

Series: TypeAlias = int | str | None
"""What the caller says: the index of an image, or its name; None for the only one."""

_LISTED_INDICES = 20


class DescribedImage(NamedTuple):
    """An image of a description that may be shared by the files of a set.

    Attributes
    ----------
    name
        "" where it has none.
    is_here
        Whether planes of it lie in this file, or may lie where the description does not say which file this is.
    other_file
        Name of a file that holds it, "" where there is none.
    """

    name: str = ""
    is_here: bool = True
    other_file: str = ""


def choose_series(images: Sequence[DescribedImage], wanted: Series, *, is_known_file: bool = True) -> int:
    """Give the index of the image that is meant.

    Parameters
    ----------
    images
        All of the description, in its order.
    wanted
        Its index or its name; a number that is an index is never taken for a name.
    is_known_file
        Whether the description says which file of a set this one is. If not, the image is taken from the caller alone.

    Raises
    ------
    AmbiguousAxesError
        There are several images in this file and none was chosen, or several have the name.
    OptionError
        There is no such image.
    UnusableImageError
        It lies in another file of a set, or all do.

    Examples
    --------
    >>> choose_series([DescribedImage("Pos0", False, "a_Pos0.ome.tif"), DescribedImage("Pos1")], None)
    1
    >>> choose_series([DescribedImage("Pos0"), DescribedImage("Pos1")], "Pos1")
    1
    """
    here = [index for index, image in enumerate(images) if image.is_here]
    if not here:
        other = next((image.other_file for image in images if image.other_file), "")
        advice = f": send the file of the set that holds the image, such as {other!r}" if other else ""
        raise UnusableImageError(f"the OME-XML places none of its {len(images)} images in this file{advice}")
    if wanted is None:
        if len(here) > 1 and is_known_file:
            raise AmbiguousAxesError(f"the file holds {len(here)} images: choose one with {_ways(images, here)}")
        if not is_known_file:
            raise AmbiguousAxesError(
                f"the OME-XML describes {len(images)} images and does not say which file of a set this is: "
                f"say which one it holds with {_ways(images, here)}"
            )
        return here[0]
    index = _find(images, here, wanted)
    if not images[index].is_here:
        other = images[index].other_file
        advice = f" of a set, {other!r}: send that file" if other else f"; this one holds {_ways(images, here)}"
        raise UnusableImageError(f"the image series={wanted} lies in another file{advice}")
    return index


def _find(images: Sequence[DescribedImage], here: Sequence[int], wanted: int | str) -> int:
    if isinstance(wanted, int) and 0 <= wanted < len(images):
        return wanted
    alike = [index for index, image in enumerate(images) if image.name == str(wanted)]
    alike = [index for index in alike if images[index].is_here] or alike[:1]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise AmbiguousAxesError(
            f"the file holds {len(alike)} images of the name {wanted!r}: choose one with {_indices(images, alike)}"
        )
    plural = "s" if len(here) > 1 else ""
    raise OptionError(
        f"the file has no image series={wanted}: it holds {len(here)} image{plural}, {_ways(images, here)}"
    )


def _ways(images: Sequence[DescribedImage], here: Sequence[int]) -> str:
    """Say how each of the images that are here can be chosen."""
    names = [images[index].name for index in here]
    by_name = f" or by name: {listed(names)}" if any(names) else ""
    return _indices(images, here) + by_name


def _indices(images: Sequence[DescribedImage], among: Sequence[int]) -> str:
    if len(among) == len(images) and len(images) > 1:
        return f"series=0..{len(images) - 1}"
    more = " …" if len(among) > _LISTED_INDICES else ""
    return "series=" + ", ".join(map(str, among[:_LISTED_INDICES])) + more
