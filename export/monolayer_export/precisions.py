"""The files of lower precision beside ``model.onnx``: made, compared with it, and described in the card."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from monolayer_core.arrays import ImageUInt8
from monolayer_core.model_card import (
    MODEL_NAME,
    TEST_INPUT_NAME,
    Agreement,
    Float16Network,
    Int8Network,
    ModelCard,
    Precision,
)
from monolayer_export.agreement import is_good_enough, measure_agreement, measure_speedup
from monolayer_export.bundle import replacing, verify_bundle, write_bundle
from monolayer_export.canonical import to_bytes
from monolayer_export.errors import ExportError
from monolayer_export.half import halve_network
from monolayer_export.prepared import (
    Example,
    PreparedImage,
    cut_tiles,
    images_of_folder,
    images_of_run,
    read_examples,
    spread,
)
from monolayer_export.quantize import quantize_network

CALIBRATION_IMAGES = 96
"""Images a tile of which is looked at for the ranges of the tensors."""

SCORED_IMAGES = 64
"""Images on which the files are compared."""

log = logging.getLogger(__name__)

Announce = Callable[[str], None]
"""Told what is done next, in a few words."""


@dataclass(frozen=True)
class Wanted:
    """Which files of lower precision are to be made."""

    int8: bool = True
    float16: bool = False


INT8_ALONE = Wanted()


def quantize_bundle(
    bundle: Path, folder: Path, wanted: Wanted = INT8_ALONE, *, announce: Announce = lambda _: None
) -> ModelCard:
    """Add files of lower precision to a bundle; its float32 file and everything else in it stay as they are.

    Parameters
    ----------
    bundle
        Folder of the bundle, which is replaced in one step when everything has succeeded.
    folder
        A prepared data set, of which the training images are used, or any folder of images. Without labels the files
        are compared, but int8 does not become the default.
    wanted
        Which files to make; a file that is there already is made anew, one that is not wanted is kept.
    announce
        Called before each step.

    Raises
    ------
    ExportError
        There are no images, or the network cannot be converted.
    BundleError
        The bundle is missing or damaged.
    """
    announce("reading the bundle")
    card = verify_bundle(bundle)
    content = (bundle / MODEL_NAME).read_bytes()
    images = images_of_folder(folder)
    kept: dict[Precision, bytes] = {}
    for precision in ("int8", "float16"):
        if names := card.files_of(precision):
            kept[precision] = (bundle / names[0]).read_bytes()
    card, made = lower_precisions(onnx.load_from_string(content), card, images, wanted, announce=announce)
    if not made:
        raise ExportError(f"{folder} holds no image that can be read")
    announce("writing and verifying the bundle")
    test_input = np.load(bundle / TEST_INPUT_NAME, allow_pickle=False)
    with replacing(bundle, force=True) as fresh:
        write_bundle(fresh, card, {"float32": content, **kept, **made}, test_input)
        return verify_bundle(fresh)


def images_for(run: Path, folder: Path | None) -> list[PreparedImage]:
    """Give the images that a folder names, or else those the run was trained and tuned on.

    Raises
    ------
    ExportError
        The folder holds no files, or is a damaged data set.
    """
    if folder is None:
        return images_of_run(run)
    images = images_of_folder(folder)
    if not images:
        raise ExportError(f"{folder} holds no images to calibrate with")
    return images


def lower_precisions(
    model: onnx.ModelProto,
    card: ModelCard,
    images: Sequence[PreparedImage],
    wanted: Wanted,
    *,
    trial: Sequence[ImageUInt8] = (),
    announce: Announce = lambda _: None,
) -> tuple[ModelCard, dict[Precision, bytes]]:
    """Make the wanted files of a float32 model and enter them into its card.

    Images trained on give the ranges of int8. The files are compared on images tuned on or, where there are none, on
    those trained on, others than gave the ranges as far as there are.

    Parameters
    ----------
    model, card
        The float32 network and its card.
    images
        Images with their use; without them no int8 is made, which the log says.
    wanted
        Which files to make.
    trial
        Normalised images to compare float16 on where there are no others: it needs no ranges.
    announce
        Called before each step.

    Returns
    -------
    ModelCard
        With `int8` and `float16` filled in.
    dict
        Content of the files by precision.

    Raises
    ------
    ExportError
        The network cannot be converted.
    """
    made: dict[Precision, bytes] = {}
    reference = to_bytes(model)
    calibrating = spread([image for image in images if image.use != "tuning"] or images, CALIBRATION_IMAGES)
    compared = images_to_compare_on(images, calibrating)

    def agreement_of(lower: bytes) -> Agreement | None:
        found = measure_agreement(
            card, reference, lower, read_examples(compared), compared[0].use if compared else "unlabelled"
        )
        if found is None:
            examples = [Example(image, None) for image in trial]
            found = measure_agreement(card, reference, lower, examples, "unlabelled")
        return found

    tiles = cut_tiles(calibrating, card) if wanted.int8 else []
    if tiles:
        announce("quantising it to eight bits")
        made["int8"] = to_bytes(quantize_network(model, card, tiles))
        announce("comparing int8 with float32")
        int8 = _describe_int8(card, reference, made["int8"], agreement_of(made["int8"]), len(tiles))
        card = card.model_copy(update={"int8": int8})
    elif wanted.int8:
        log.warning("no training images at hand: no int8 is made (--calibration-images names real ones)")
    if wanted.float16:
        announce("comparing half precision with float32")
        made["float16"] = to_bytes(halve_network(model, card))
        if (agreement := agreement_of(made["float16"])) is None:
            raise ExportError("no image can be read to compare half precision on")
        card = card.model_copy(update={"float16": Float16Network(agreement=agreement)})
    return card, made


def images_to_compare_on(images: Sequence[PreparedImage], calibrating: Sequence[PreparedImage]) -> list[PreparedImage]:
    """Images tuned on; where there are none those that gave no ranges, and where all did, all."""
    tuned = [image for image in images if image.use == "tuning"]
    used = set(calibrating)
    return spread(tuned or [image for image in images if image not in used] or images, SCORED_IMAGES)


def _describe_int8(
    card: ModelCard, reference: bytes, content: bytes, agreement: Agreement | None, tiles: int
) -> Int8Network:
    if agreement is None:
        raise ExportError("no image can be read to compare int8 on")
    speedup = measure_speedup(card, reference, content)
    is_default, reason = is_good_enough(agreement, speedup)
    log.info("int8 is %s on a CPU: %s", "the default" if is_default else "not the default", reason)
    return Int8Network(
        default_on_cpu=is_default,
        reason=reason,
        calibration_tiles=tiles,
        speedup=round(speedup, 2),
        agreement=agreement,
    )
