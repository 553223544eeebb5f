"""What the export writes in lower precision is what the service reads, and the answers are the network's."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from monolayer_core.image_io import decode_image
from monolayer_core.metrics import score_image
from monolayer_core.model_card import read_card, write_card
from monolayer_core.pipeline import prepare, segment
from monolayer_core.tiling import plan_tiles, predict_tiled
from monolayer_export.precisions import Wanted, quantize_bundle
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.bundle import open_bundle

ONE_THREAD = NetworkThreads(alone=1, shared=1)
ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "service" / "monolayer_service" / "bundles" / "nuclei"
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def quantized(tmp_path_factory) -> Path:
    """The shipped network in eight bits and half precision, with ranges from the example images."""
    folder = tmp_path_factory.mktemp("bundles")
    images = folder / "images"
    images.mkdir()
    for path in EXAMPLES.glob("*.png"):
        pixels = decode_image(path.read_bytes()).pixels
        if max(pixels.shape) <= 400:
            shutil.copy(path, images)
    bundle = folder / "nuclei"
    bundle.mkdir()
    for name in ("model.onnx", "model_card.json", "test_input.npy", "test_output.npy"):
        shutil.copy(SHIPPED / name, bundle)
    card = read_card(bundle)
    own = {name: card.files[name] for name in ("model.onnx", "test_input.npy", "test_output.npy")}
    write_card(card.model_copy(update={"int8": None, "float16": None, "files": own}), bundle)
    quantize_bundle(bundle, images, Wanted(int8=True, float16=True))
    return bundle


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_the_service_finds_the_same_nuclei_in_lower_precision(quantized, monkeypatch, precision) -> None:
    if precision == "float16":  # for GPUs; the runtime of a CPU computes it by casting
        monkeypatch.setattr("monolayer_service.segmenters.bundle.CUDA", "CPUExecutionProvider")
    pixels = decode_image((EXAMPLES / "fluorescence_large.png").read_bytes()).pixels
    networks = {
        wanted: open_bundle(quantized, prefer_cuda=False, threads=ONE_THREAD, precision=wanted)
        for wanted in ("float32", precision)
    }

    found = {name: segment(pixels, network.card, network.run) for name, network in networks.items()}

    assert networks[precision].precision == precision
    assert networks[precision].sha256 != networks["float32"].sha256
    scores = score_image(found["float32"].labels, found[precision].labels)
    assert scores.truth_count == 36
    assert scores.average_precision_50 > 0.9
    assert scores.dice > 0.98
    assert abs(found["float32"].confluency_percent - found[precision].confluency_percent) < 0.5


def test_the_unlabelled_examples_do_not_make_it_the_default(quantized) -> None:
    card = read_card(quantized)

    assert not card.int8.default_on_cpu
    assert open_bundle(quantized, prefer_cuda=False, threads=ONE_THREAD).precision == "float32"
    assert card.int8.agreement.level_difference < 2
    assert card.float16.agreement.level_difference < 0.1


def test_an_image_in_tiles_is_the_image_seen_whole_in_int8_too(quantized) -> None:
    network = open_bundle(quantized, prefer_cuda=False, threads=ONE_THREAD, precision="int8")
    card = network.card
    picture = prepare(decode_image((EXAMPLES / "fluorescence_large.png").read_bytes()).pixels, card)
    image = np.ascontiguousarray(np.tile(picture[:256, :256], (2, 2, 1)))

    whole = network.run(image[np.newaxis])[0]
    plan = plan_tiles(*image.shape[:2], sides=[256], halo=card.halo, divisor=card.divisor)
    tiled = predict_tiled(image, network.run, plan, output_count=len(card.outputs))

    differing = (np.abs(tiled.astype(int) - whole) > 1).any(axis=-1)
    assert len(plan.tiles) > 4
    assert differing.mean() <= 0.001
