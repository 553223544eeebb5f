"""The layout of Kaggle's Data Science Bowl 2018: ``ImageId/images/ImageId.png`` and one mask file per nucleus.

Where masks overlap (a handful of pixels in the whole set), a pixel goes to the smaller nucleus, the later file name
deciding between equals: the smaller one would lose a larger part of itself.
"""

from collections import defaultdict
from pathlib import Path, PurePosixPath

from monolayer_core.truth import merge_masks
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers.decoding import decode, decode_mask
from monolayer_trainer.readers.files import is_image, open_files
from monolayer_trainer.readers.labelled_image import LabelledImage


class Dsb2018Reader:
    """Reads the layout from a folder or directly from the zip file."""

    classes = None

    def __init__(self, source: Path) -> None:
        self._files = open_files(source)
        self._images: dict[str, str] = {}
        self._masks: defaultdict[str, list[str]] = defaultdict(list)
        for name in filter(is_image, self._files.names):
            parts = PurePosixPath(name).parts
            if len(parts) >= 3 and parts[-2] == "images":
                self._images[parts[-3]] = name
            elif len(parts) >= 3 and parts[-2] == "masks":
                self._masks[parts[-3]].append(name)
        if not self._images:
            raise DatasetError(f"{source} holds no ImageId/images/ImageId.png")
        self.ids = tuple(sorted(self._images.keys() & self._masks.keys()))
        self.left_out = tuple(
            [f"{self._images[i]}: no masks" for i in sorted(self._images.keys() - self._masks.keys())]
            + [f"{i}/masks: no image" for i in sorted(self._masks.keys() - self._images.keys())]
        )

    def read(self, image_id: str) -> LabelledImage:
        """Read one image and merge its masks."""
        name = self._images[image_id]
        image = decode(self._files.read(name), name)
        size = image.pixels.shape[:2]
        masks = []
        for mask_name in self._masks[image_id]:
            mask = decode_mask(self._files.read(mask_name), mask_name)
            if mask.shape != size:
                raise DatasetError(f"{mask_name} measures {mask.shape}, its image {size} (y, x)")
            masks.append(mask)
        return LabelledImage(image.pixels, merge_masks(masks, *size), pixel_size_um=image.pixel_size_um)
