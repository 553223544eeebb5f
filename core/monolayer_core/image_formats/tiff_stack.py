"""How the pages of a TIFF file form a stack of planes: OME-XML, ImageJ, tifffile's own description, or just pages.

The descriptions are read here rather than through `tifffile.TiffFile.series`, because what arrives is not trusted: a
description of a few bytes may announce any number of planes or name other files, and nothing may be allocated or opened
on its word. A plane is looked up when it is wanted.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from tifffile import TiffPage

from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats.ome import OmePixels
from monolayer_core.image_formats.stored import UNKNOWN_AXIS
from monolayer_core.image_formats.tiff_chain import PageKind

_MAX_AXES = 16  # as many numbers as stand in a description would be multiplied for minutes
_METAMORPH_TAG = 33629  # UIC2: what differs from plane to plane, all of which lie behind one page


class PagePlace(NamedTuple):
    """Where a plane lies: a page, and how many planes stand before it in that page's data.

    ImageJ and tifffile store some stacks as one page with all planes behind one another.
    """

    page: int
    planes_before: int = 0


@dataclass(frozen=True)
class Stack:
    """Planes of one size and type.

    Attributes
    ----------
    lengths, axes
        Length and letter of each axis along which planes are counted, the slowest first.
    page_axes
        Letters of the axes within a page.
    locate
        Takes an index for each of `axes`.
    only
        Index along axes of which the file holds one alone, being one of a set.
    """

    lengths: tuple[int, ...]
    axes: str
    page_axes: str
    locate: Callable[[tuple[int, ...]], PagePlace]
    only: Mapping[str, int] = field(default_factory=dict)


def read_stack(
    page: TiffPage, kinds: Sequence[PageKind], page_shape: tuple[int, ...], page_axes: str, ome: OmePixels | None
) -> Stack:
    """Find out how pages of these kinds form a stack, from the description of the first one, `page`.

    Raises
    ------
    TruncatedImageError
        More planes are described than there are.
    UnusableImageError
        The description is that of another file, or of a kind that is not read.
    """
    count = len(kinds)
    if page.tags.get(_METAMORPH_TAG) is not None:
        raise UnusableImageError("a MetaMorph stack (STK) is not read: save it as OME-TIFF")
    if ome is not None:
        return _ome_stack(ome, count, page_shape, page_axes)
    described: tuple[tuple[int, ...], str] | None = None
    if page.is_imagej:
        described = _imagej_axes(page.description, page.samplesperpixel)
    elif page.is_shaped:
        described = _shaped_axes(page.description, page_shape)
    if described is not None and (prod(described[0]) > 1 or count == 1):
        return _regular_stack(page, count, *described, page_axes)
    return _plain_stack(kinds, page_axes)


def _ome_stack(pixels: OmePixels, count: int, page_shape: tuple[int, ...], page_axes: str) -> Stack:
    sizes = dict(zip(page_axes, page_shape, strict=True))
    if (pixels.sizes["Y"], pixels.sizes["X"]) != (sizes["Y"], sizes["X"]):
        raise UnusableImageError(
            f"the OME-XML describes {pixels.sizes['Y']} rows of {pixels.sizes['X']} pixels, "
            f"the page has {sizes['Y']} of {sizes['X']}"
        )
    axes = "".join(letter for letter in reversed(pixels.order) if letter not in "XY")
    lengths = tuple(pixels.sizes[letter] for letter in axes)
    if "C" in page_axes:
        # The samples of a page are the channels, or all but the last axis of what OME counts as channels.
        page_axes = page_axes.replace("C", "C" if pixels.sizes["C"] == 1 else "S")
        if "C" in page_axes:
            lengths = tuple(n for n, letter in zip(lengths, axes, strict=True) if letter != "C")
            axes = axes.replace("C", "")

    def locate(index: tuple[int, ...]) -> PagePlace:
        return PagePlace(check_page(pixels.page_of(_ravel(index, lengths)), count))

    return Stack(lengths, axes, page_axes, locate, pixels.only_indices())


def check_page(page: int, count: int) -> int:
    """Give back the page that OME-XML names, if it is one of `count`.

    Raises
    ------
    TruncatedImageError
        It is not.
    """
    if not 0 <= page < count:
        raise TruncatedImageError(f"the OME-XML places the plane on page {page} of {count}")
    return page


def _imagej_axes(description: str, samples: int) -> tuple[tuple[int, ...], str]:
    """Read ImageJ's description; planes lie in the order T, Z, C, the last the fastest."""
    entries = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    lengths = [_count(entries.get(key, "1")) for key in ("frames", "slices", "channels")]
    if samples > 1 and lengths[2] == samples:
        lengths[2] = 1  # the samples of a pixel declared as channels
    images = _count(entries.get("images", "1"))
    return (tuple(lengths), "TZC") if prod(lengths) >= images else ((images,), UNKNOWN_AXIS)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} planes are described")
    return number


def _shaped_axes(description: str, page_shape: tuple[int, ...]) -> tuple[tuple[int, ...], str] | None:
    """Read the JSON that tifffile writes: the shape of the array and, where they were given, its axes."""
    entries = json.loads(description)
    if len(entries["shape"]) > _MAX_AXES:
        raise ValueError(f"{len(entries['shape'])} axes are described")
    shape = tuple(_count(length) for length in entries["shape"])
    inner = len(page_shape)
    if shape[-inner:] != page_shape:
        return None
    lengths = shape[:-inner]
    axes = str(entries.get("axes", ""))
    if len(axes) != len(shape):
        axes = UNKNOWN_AXIS * len(shape)
    return lengths, "".join(letter if letter in "TCZ" else UNKNOWN_AXIS for letter in axes[: len(lengths)])


def _regular_stack(page: TiffPage, count: int, lengths: tuple[int, ...], axes: str, page_axes: str) -> Stack:
    planes = prod(lengths)
    one_behind_another = count == 1 and planes > 1 and page.is_contiguous and page.compression == 1
    room = (page.parent.filehandle.size - page.dataoffsets[0]) // page.nbytes
    stored = room if one_behind_another else count
    if planes > stored:
        raise TruncatedImageError(f"the TIFF data ends early: {planes} planes are described, {stored} are there")

    def locate(index: tuple[int, ...]) -> PagePlace:
        number = _ravel(index, lengths)
        return PagePlace(0, number) if one_behind_another else PagePlace(number)

    return Stack(lengths, axes, page_axes, locate)


def _plain_stack(kinds: Sequence[PageKind], page_axes: str) -> Stack:
    alike = [number for number, kind in enumerate(kinds) if kind == kinds[0]]
    if len(alike) == 1:
        return Stack((), "", page_axes, lambda _: PagePlace(0))
    return Stack((len(alike),), UNKNOWN_AXIS, page_axes, lambda index: PagePlace(alike[index[0]]))


def _ravel(index: tuple[int, ...], lengths: tuple[int, ...]) -> int:
    number = 0
    for position, length in zip(index, lengths, strict=True):
        number = number * length + position
    return number
