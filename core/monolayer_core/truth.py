"""The truth as people store it: one mask per object, or a label image, to one label image.

Used wherever a prediction is compared with files drawn by hand, so that everyone who scores an image scores it against
the same objects.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Mask, Pixels
from monolayer_core.errors import UnusableImageError


def mask_from_pixels(pixels: Pixels) -> Mask:
    """Read a stored mask: 0 is background, one other value is foreground.

    Where the largest value is 255 everything above 127 is foreground, so that masks smeared by JPEG or by smoothing can
    be read. Of a colour image the brightest channel counts.

    Raises
    ------
    UnusableImageError
        There are more than two values: it may be a label image.

    Examples
    --------
    >>> mask_from_pixels(np.array([[0, 3, 250, 255]]))
    array([[False, False,  True,  True]])
    """
    values = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    largest = values.max(initial=0)
    mask: Mask = values > (127 if largest == 255 else 0)
    if largest != 255 and not (values[mask] == largest).all():
        raise UnusableImageError("a mask holds two values, this image more; is it a label image?")
    return mask


def numbers_from_pixels(pixels: Pixels) -> npt.NDArray[np.integer]:
    """Read a stored label image, its numbers as they are: ``(y, x)`` of an integer type, 0 for background.

    Three equal channels are taken for one, floating point numbers without a fraction for integers.

    Raises
    ------
    UnusableImageError
        The image is coloured, or holds negative numbers or fractions.
    """
    values = pixels
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise UnusableImageError("a label image has one channel, this image is coloured")
        values = values[..., 0]
    if values.dtype.kind == "f":
        if not (values == np.floor(values)).all():
            raise UnusableImageError("a label image holds whole numbers, this one fractions")
        values = values.astype(np.int64)
    if values.size and values.min() < 0:
        raise UnusableImageError("a label image holds no negative numbers")
    return values


def merge_masks(masks: Sequence[Mask], height: int, width: int) -> LabelImage:
    """Merge one mask ``(y, x)`` per object into a label image 1..N.

    Where masks overlap the smaller object keeps the pixel, since it would lose the larger part of itself; the later one
    between equals. Empty masks, and objects that are wholly covered, get no number.

    Raises
    ------
    UnusableImageError
        A mask has another size.

    Examples
    --------
    >>> merge_masks([np.array([[True, False, False]]), np.array([[True, True, True]])], 1, 3)
    array([[2, 1, 1]], dtype=int32)
    """
    labels = np.zeros((height, width), dtype=np.int32)
    for number, mask in enumerate(sorted(masks, key=lambda mask: -int(np.count_nonzero(mask))), start=1):
        if mask.shape != labels.shape:
            raise UnusableImageError(f"a mask measures {mask.shape}, its image {labels.shape} (y, x)")
        labels[mask] = number
    return number_consecutively(labels)


def number_consecutively(numbers: npt.NDArray[np.integer]) -> LabelImage:
    """Renumber the objects of a label image 1 to N in the order of their numbers; an object in two pieces stays one.

    Examples
    --------
    >>> number_consecutively(np.array([[700, 0, 5]]))
    array([[2, 0, 1]], dtype=int32)
    """
    largest = int(numbers.max(initial=0))
    if largest > 4 * numbers.size:  # numbers far apart: a table of them would be larger than the image
        present, index = np.unique(numbers, return_inverse=True)
        first = 0 if present[0] == 0 else 1
        return np.asarray((index + first).reshape(numbers.shape), dtype=np.int32)
    is_there = np.zeros(largest + 1, dtype=np.int32)
    is_there[numbers] = 1
    is_there[0] = 0
    return np.asarray((np.cumsum(is_there) * is_there)[numbers], dtype=np.int32)
