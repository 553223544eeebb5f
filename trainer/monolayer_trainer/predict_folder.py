"""Predictions for images without masks: outlines to look at and numbers to calculate with."""

import csv
import logging
from pathlib import Path

from monolayer_core.arrays import ImageUInt8, Predict
from monolayer_core.errors import ImageError
from monolayer_core.image_io import decode_image
from monolayer_core.model_card import ModelCard
from monolayer_core.normalization import normalize
from monolayer_core.overlay import draw_overlay
from monolayer_core.pipeline import Segmentation, segment
from monolayer_trainer.pictures import write_png

TABLE_NAME = "predictions.csv"
COLUMNS = ("image", "count", "confluency_percent", "mean_score", "error")

log = logging.getLogger(__name__)


def predict_folder(source: Path, destination: Path, card: ModelCard, predict: Predict) -> list[str]:
    """Segment every file of a folder and write an overlay for each and one table.

    Parameters
    ----------
    source
        Folder of images; folders inside it are not entered.
    destination
        Takes ``NAME_overlay.png`` for each image and ``predictions.csv``.
    card, predict
        The network.

    Returns
    -------
    list of str
        Names of the files that could not be used; the table says why.
    """
    destination.mkdir(parents=True, exist_ok=True)
    failed = []
    with (destination / TABLE_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path in sorted(path for path in source.iterdir() if path.is_file()):
            try:
                found, picture = predict_file(path, card, predict)
            except ImageError as error:
                log.warning("%s: %s", path.name, error)
                writer.writerow([path.name, "", "", "", str(error)])
                failed.append(path.name)
                continue
            write_png(destination / f"{path.stem}_overlay.png", picture)
            mean = "" if found.scores is None or not found.scores.size else f"{found.scores.mean():.3f}"
            writer.writerow([path.name, len(found.class_ids), f"{found.confluency_percent:.3f}", mean, ""])
    return failed


def predict_file(path: Path, card: ModelCard, predict: Predict) -> tuple[Segmentation, ImageUInt8]:
    """Segment one image and draw the outlines of its objects.

    Raises
    ------
    ImageError
        The file is no image that can be used.
    """
    pixels = decode_image(path.read_bytes()).pixels
    found = segment(pixels, card, predict)
    return found, draw_overlay(normalize(pixels, card.normalization), found.labels)
