"""What every reader gives, whatever the files look like: pixels and one number per object.

Semantic masks, boxes and per-object masks all become an instance label image and a class for each object. The targets
of a semantic network follow from that, so one representation serves every task.
"""

from dataclasses import dataclass
from typing import Protocol

from monolayer_core.arrays import LabelImage, Pixels
from monolayer_core.boxes import Boxes


@dataclass(frozen=True)
class LabelledImage:
    """An image with its objects.

    Attributes
    ----------
    pixels
        ``(y, x)`` grey or ``(y, x, 3)`` RGB, as stored.
    labels
        int32 ``(y, x)``: 0 background, 1 to N objects, every number used.
    object_classes
        Class index of object 1, 2, ... N; None where there is one class.
    pixel_size_um
        Micrometres per pixel from the image file, None where it says nothing.
    boxes
        Annotated box of each object in pixels, inside the image; None where masks were annotated.
    """

    pixels: Pixels
    labels: LabelImage
    object_classes: tuple[int, ...] | None = None
    pixel_size_um: float | None = None
    boxes: Boxes | None = None


class Reader(Protocol):
    """A source of labelled images.

    Attributes
    ----------
    ids
        Names of the images that have labels, sorted.
    left_out
        What could not be used, each with the reason: files whose counterpart is missing, regions among the objects.
    classes
        Class names found in the source, None where it names none.
    """

    @property
    def ids(self) -> tuple[str, ...]: ...  # noqa: D102 - described above
    @property
    def left_out(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...] | None: ...  # noqa: D102

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and its labels.

        Raises
        ------
        DatasetError
            A file is damaged, or image and labels do not fit; the message names the file.
        """
        ...
