"""Files of lower precision beside the float32 one: made, compared, described, and added to a bundle."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from monolayer_core.errors import BundleError
from monolayer_core.model_card import ModelCard, read_card, sha256_of_file
from monolayer_export.bundle import verify_bundle
from monolayer_export.errors import ExportError
from monolayer_export.precisions import (
    Wanted,
    images_for,
    images_to_compare_on,
    lower_precisions,
    quantize_bundle,
)
from monolayer_export.prepared import PreparedImage

ALL_FILES = {
    "model.onnx", "model.int8.onnx", "model.fp16.onnx",
    "test_input.npy", "test_output.npy", "test_output.int8.npy", "test_output.fp16.npy",
}  # fmt: skip


@pytest.fixture
def bundle(float_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(float_bundle, tmp_path / "toy"))


def test_both_files_are_added_to_a_bundle_and_the_float_one_stays(bundle: Path, labelled_data: Path) -> None:
    before, steps = sha256_of_file(bundle / "model.onnx"), []

    card = quantize_bundle(bundle, labelled_data, Wanted(int8=True, float16=True), announce=steps.append)

    assert card == read_card(bundle) == verify_bundle(bundle)
    assert set(card.files) == ALL_FILES
    assert {path.name for path in bundle.iterdir()} == ALL_FILES | {"model_card.json"}
    assert card.files["model.onnx"] == before == sha256_of_file(bundle / "model.onnx")
    # Ten training images of 96 pixels: all give ranges, and for want of others all are compared.
    assert card.int8.calibration_tiles == 10
    assert (card.int8.agreement.images, card.int8.agreement.subset) == (10, "training")
    assert card.int8.agreement.level_difference < 2
    assert card.float16.agreement.level_difference < 0.1
    assert len(steps) == 5
    stored = np.load(bundle / "test_output.int8.npy").astype(int)
    assert np.abs(stored - np.load(bundle / "test_output.npy")).mean() < 2


def test_a_file_that_is_there_is_kept_when_another_is_added(bundle: Path, labelled_data: Path) -> None:
    first = quantize_bundle(bundle, labelled_data)
    second = quantize_bundle(bundle, labelled_data, Wanted(int8=False, float16=True))

    assert second.int8 == first.int8
    assert second.files["model.int8.onnx"] == first.files["model.int8.onnx"]
    assert set(second.files) == ALL_FILES


def test_images_without_labels_calibrate_but_do_not_make_it_the_default(bundle: Path, labelled_data: Path) -> None:
    card = quantize_bundle(bundle, labelled_data / "images")

    assert card.int8.calibration_tiles == 12
    assert card.int8.agreement.subset == "unlabelled"
    assert (card.int8.default_on_cpu, card.int8.reason) == (False, "no labelled images to compare it on")


def test_a_folder_without_images_leaves_the_bundle_as_it_was(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ExportError, match="holds no image that can be read"):
        quantize_bundle(bundle, tmp_path / "empty")
    assert verify_bundle(bundle).int8 is None


def test_a_damaged_bundle_is_refused(bundle: Path, labelled_data: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"half")

    with pytest.raises(BundleError, match="damaged"):
        quantize_bundle(bundle, labelled_data)


def test_without_images_there_is_no_int8_and_the_log_says_so(
    float_bundle: Path, toy_card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    model = onnx.load(float_bundle / "model.onnx")

    card, made = lower_precisions(model, toy_card, [], Wanted())

    assert (card, made) == (toy_card, {})
    assert "no int8 is made" in caplog.text


def test_half_precision_needs_no_ranges_and_is_tried_on_what_there_is(float_bundle: Path, toy_card: ModelCard) -> None:
    model = onnx.load(float_bundle / "model.onnx")
    trial = [np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)]

    card, made = lower_precisions(model, toy_card, [], Wanted(int8=False, float16=True), trial=trial)

    assert list(made) == ["float16"]
    assert (card.float16.agreement.images, card.float16.agreement.subset) == (1, "unlabelled")


def image(name: str, use: str) -> PreparedImage:
    return PreparedImage(Path(name), None, "", use)


def test_images_tuned_on_are_compared_on_before_those_trained_on() -> None:
    images = [image("a", "training"), image("b", "tuning"), image("c", "training")]

    assert images_to_compare_on(images, images[:1]) == images[1:2]
    assert images_to_compare_on([images[0], images[2]], images[:1]) == images[2:]
    assert images_to_compare_on(images[:1], images[:1]) == images[:1]


def test_a_named_folder_takes_the_place_of_the_runs_images(tmp_path: Path, labelled_data: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert len(images_for(tmp_path, labelled_data)) == 10
    assert images_for(tmp_path, None) == []
    with pytest.raises(ExportError, match="holds no images to calibrate with"):
        images_for(tmp_path, tmp_path / "empty")
