"""Predictions for images without masks: outlines to look at and numbers to calculate with."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from monolayer_core.arrays import ImageUInt8, Predict
from monolayer_core.errors import ImageError
from monolayer_core.image_io import decode_image
from monolayer_core.model_card import ModelCard
from monolayer_core.normalization import normalize
from monolayer_core.overlay import draw_overlay, ids_to_colour
from monolayer_core.pipeline import Segmentation, SegmentOptions, segment
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.pictures import write_png
from monolayer_trainer.progress import watched
from monolayer_trainer.readers.files import is_image, open_files

TABLE_NAME = "predictions.csv"
COLUMNS = ("image", "count", "confluency_percent", "mean_score", "error")

log = logging.getLogger(__name__)


def predict_folder(
    source: Path,
    destination: Path,
    card: ModelCard,
    predict: Predict,
    *,
    tta: bool = False,
    limit: int | None = None,
) -> list[str]:
    """Segment every image below a folder and write an overlay for each and one table.

    Parameters
    ----------
    source
        Folder or zip archive of images, in folders of their own or not; other files are left alone.
    destination
        Takes the overlays, see `overlay_names`, and ``predictions.csv``.
    card, predict
        The network.
    tta
        Average the network's answers for four mirror images.
    limit
        Take this many images only, the first.

    Returns
    -------
    list of str
        Names of the files that could not be used; the table says why.

    Raises
    ------
    DatasetError
        The source holds no image.
    """
    files = open_files(source)
    names = [name for name in files.names if is_image(name)][:limit]
    if not names:
        raise DatasetError(f"{source} holds no images")
    options = SegmentOptions(tta=tta)
    overlays = overlay_names(names)
    destination.mkdir(parents=True, exist_ok=True)
    failed = []
    with (destination / TABLE_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in watched(names):
            try:
                found, picture = predict_image(files.read(name), card, predict, options)
            except (ImageError, DatasetError) as error:
                log.warning("%s: %s", name, error)
                writer.writerow([name, "", "", "", str(error)])
                failed.append(name)
                continue
            write_png(destination / overlays[name], picture)
            mean = "" if found.scores is None or not found.scores.size else f"{found.scores.mean():.3f}"
            writer.writerow([name, len(found.class_ids), f"{found.confluency_percent:.3f}", mean, ""])
    return failed


def overlay_names(names: Sequence[str]) -> dict[str, str]:
    """Name the overlay of each image: short where that tells all of them apart, else by the whole path.

    Examples
    --------
    >>> overlay_names(["1f/images/1f.png", "2e/images/2e.png"])
    {'1f/images/1f.png': '1f_overlay.png', '2e/images/2e.png': '2e_overlay.png'}
    >>> overlay_names(["day1/a.png", "day2/a.png"])
    {'day1/a.png': 'day1/a.png_overlay.png', 'day2/a.png': 'day2/a.png_overlay.png'}
    """
    stems = [PurePosixPath(name).stem for name in names]
    are_distinct = len({stem.casefold() for stem in stems}) == len(stems)
    return {name: f"{stem if are_distinct else name}_overlay.png" for name, stem in zip(names, stems, strict=True)}


def predict_image(
    data: bytes, card: ModelCard, predict: Predict, options: SegmentOptions
) -> tuple[Segmentation, ImageUInt8]:
    """Segment one image and draw the outlines of its objects.

    Raises
    ------
    ImageError
        The file is no image that can be used.
    """
    pixels = decode_image(data).pixels
    found = segment(pixels, card, predict, options)
    class_ids = ids_to_colour(found.class_ids, found.class_names)
    return found, draw_overlay(normalize(pixels, card.normalization), found.labels, class_ids=class_ids)
