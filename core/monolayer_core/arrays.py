"""Names for the arrays that travel through the package, with their axes, dtype and range.

Every function says which of these it takes and gives, so that axes and units are never guessed. Axes are always
``(y, x)`` and, where there is a third, ``(y, x, channel)``.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[Any]
"""One image plane as it was decoded: ``(y, x)`` grey or ``(y, x, 3)`` RGB; uint8, uint16, float32 and so on."""

ImageUInt8: TypeAlias = npt.NDArray[np.uint8]
"""A normalised image: ``(y, x)`` grey or ``(y, x, channel)``, 0 to 255."""

Region: TypeAlias = tuple[slice, slice]
"""Slices ``(y, x)`` with both ends given."""


class ImageRegions(Protocol):
    """A normalised image ``(y, x, channel)`` of which parts are looked at: an array, or what makes them when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""
        ...

    def __getitem__(self, region: Region, /) -> ImageUInt8:
        """Give a part, uint8 ``(y, x, channel)``."""
        ...


Mask: TypeAlias = npt.NDArray[np.bool_]
"""Foreground: ``(y, x)``, True where a pixel belongs to a cell or nucleus."""

LabelImage: TypeAlias = npt.NDArray[np.int32]
"""Instances: ``(y, x)``, 0 for background and 1 to N for the objects."""

Probabilities: TypeAlias = npt.NDArray[np.uint8]
"""Network answer: ``(y, x, output)``, 0 to 255 standing for 0 to 1; the model card names the outputs."""

TileBatch: TypeAlias = npt.NDArray[np.uint8]
"""Normalised tiles ``(n, y, x, channel)`` or their probabilities ``(n, y, x, output)``."""

Predict: TypeAlias = Callable[[TileBatch], TileBatch]
"""The network as a plain callable: tiles in, probabilities of the same height and width out."""

PredictStream: TypeAlias = Callable[[Iterator[TileBatch]], Iterator[TileBatch]]
"""The network as a map over batches, answers in their order. It may take some batches ahead of the answers it gives."""
