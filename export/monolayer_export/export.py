"""The steps from a training run to a bundle, in their order."""

import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from pydantic import ValidationError

from monolayer_core.arrays import TileBatch
from monolayer_core.model_card import ModelCard, read_card
from monolayer_export.bundle import refuse_existing, replacing, verify_bundle, write_bundle
from monolayer_export.canonical import canonicalize, to_bytes
from monolayer_export.convert import OPSET, KerasNetwork, convert_network, keras_predict, load_network
from monolayer_export.errors import ExportError
from monolayer_export.graph import add_uint8_rim, check_graph, describe
from monolayer_export.halo import HaloMeasurement, measure_halo, widest_halo
from monolayer_export.images import TrialImages, gather_images, square_crop, synthetic_images
from monolayer_export.parity import ParityResult, check_parity, compare, parity_cases
from monolayer_export.precisions import INT8_ALONE, Announce, Wanted, images_for, lower_precisions
from monolayer_export.session import onnx_predict
from monolayer_export.simplify import simplify

LIBRARIES = ("keras", "numpy", "onnx", "onnxruntime", "tensorflow", "tf2onnx")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportReport:
    """What was made, and the numbers that were found on the way."""

    card: ModelCard
    model: onnx.ModelProto
    parity: tuple[ParityResult, ...]
    halo: HaloMeasurement
    images: TrialImages


def export_run(
    run: Path,
    target: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    images: Path | None = None,
    calibration_images: Path | None = None,
    wanted: Wanted = INT8_ALONE,
    force: bool = False,
    announce: Announce = lambda _: None,
) -> ExportReport:
    """Make a verified bundle of a training run.

    Parameters
    ----------
    run
        Folder with ``model.keras`` and the trainer's draft of ``model_card.json``.
    target
        Folder of the bundle.
    name, version
        Replace those of the draft.
    images
        Real images, see `gather_images`.
    calibration_images
        A prepared data set or any folder of images for the files of lower precision; those that the run was trained
        and tuned on by default.
    wanted
        Files of lower precision to make beside the float32 one.
    force
        Replace a bundle that is there.
    announce
        Called before each step.

    Raises
    ------
    ExportError
        The run cannot be exported, or `target` exists; ParityError where the networks differ. Nothing is written then.
    BundleError
        The draft of the card is missing or not valid, or the finished bundle does not hold.
    """
    refuse_existing(target, force=force)
    prepared = images_for(run, calibration_images)
    card = _rename(read_card(run), name=name, version=version)
    announce("reading the trained network")
    network = load_network(run)
    announce("converting it to ONNX")
    model = build_graph(network, card)
    announce("reading trial images")
    trial = gather_images(run, card, images)
    announce("comparing ONNX with Keras")
    parity = tuple(compare(model, keras_predict(network), case) for case in parity_cases(card, trial.images))
    check_parity(parity)
    announce("measuring the halo")
    halo = find_halo(model, card, trial)
    card = complete_card(card, halo, trial)
    card, lower = lower_precisions(model, card, prepared, wanted, trial=trial.images, announce=announce)
    announce("writing and verifying the bundle")
    with replacing(target, force=force) as folder:
        write_bundle(folder, card, {"float32": to_bytes(model), **lower}, _test_input(card, trial))
        card = verify_bundle(folder)
    return ExportReport(card, model, parity, halo, trial)


def build_graph(network: KerasNetwork, card: ModelCard) -> onnx.ModelProto:
    """Turn a Keras network into the ONNX model of the bundle; the same network gives the same model."""
    model = convert_network(network, card)
    simplify(model)
    canonicalize(model.graph)
    add_uint8_rim(model, card)
    describe(model, card)
    check_graph(model)
    return model


def find_halo(model: onnx.ModelProto, card: ModelCard, trial: TrialImages) -> HaloMeasurement:
    """Measure the halo; a network of one size has no untiled answer to compare with and gets the widest that fits."""
    if card.dynamic_size:
        found = measure_halo(
            onnx_predict(to_bytes(model)),
            trial.images,
            tile_sides=card.tile_sides,
            divisor=card.divisor,
            output_count=len(card.outputs),
        )
    else:
        widest = widest_halo(card.tile_sides[0], card.divisor)
        found = HaloMeasurement(widest, card.tile_sides, (), sufficient=False)
    if not found.sufficient:
        log.warning("the halo of %d pixels is the widest that fits; it is not shown to suffice", found.halo)
    return found


def complete_card(card: ModelCard, halo: HaloMeasurement, trial: TrialImages) -> ModelCard:
    """Fill in what the export has found out: halo, tile sides, the curve behind them, and the libraries."""
    found = {
        "halo": halo.halo,
        "tile_sides": halo.tile_sides,
        "versions": library_versions(),
        "metrics": card.metrics
        | {
            "halo": {
                "images": trial.origin,
                "sufficient": halo.sufficient,
                "differing_fraction": {f"{point.side}/{point.halo}": round(point.differing, 6) for point in halo.curve},
            }
        },
    }
    return _update(card, found)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the bundle, and the opset."""
    versions = {library: str(import_module(library).__version__) for library in LIBRARIES}
    return versions | {"opset": str(OPSET)}


def _test_input(card: ModelCard, trial: TrialImages) -> TileBatch:
    """Crop the first trial image and a synthetic one to the smallest tile side."""
    side = card.tile_sides[0]
    synthetic = next(synthetic_images(card.channel_count, seed=1))
    return np.stack([square_crop(trial.images[0], side), square_crop(synthetic, side)])


def _rename(card: ModelCard, *, name: str | None, version: str | None) -> ModelCard:
    return _update(card, {key: value for key, value in (("name", name), ("version", version)) if value is not None})


def _update(card: ModelCard, changes: dict[str, Any]) -> ModelCard:
    """Change fields of a card and check it again."""
    try:
        return ModelCard.model_validate(card.model_dump() | changes)
    except ValidationError as error:
        raise ExportError(f"the card would not be valid: {error}") from error
