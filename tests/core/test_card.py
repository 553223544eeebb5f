"""A card says all there is to know of a network, and one that contradicts itself or its files is refused."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from monolayer_core.errors import BundleError
from monolayer_core.model_card import (
    CARD_NAME,
    MODEL_NAME,
    ModelCard,
    NormalizationSpec,
    Output,
    Thresholds,
    TrainingData,
    read_card,
    sha256_of_file,
    verify_files,
    write_card,
)

FIELDS = {
    "name": "nuclei",
    "version": "1.2.0",
    "task": "instances",
    "confluency_of": "nucleus",
    "channels": "rgb",
    "outputs": [
        {"name": "rbc", "role": "class"},
        {"name": "wbc", "role": "class"},
        {"name": "boundary", "role": "boundary"},
        {"name": "distance", "role": "distance"},
    ],
    "tile_sides": [256, 512],
    "halo": 32,
    "divisor": 16,
    "training_data": {"name": "a", "licence": "CC0-1.0", "source": "b", "images": 3, "objects": 40},
}


def make_card(**changes):
    return ModelCard.model_validate(FIELDS | changes)


def test_a_card_comes_back_from_its_file_as_it_was(tmp_path):
    card = make_card(
        pixel_size_um=0.65,
        object_diameter_px=17.5,
        dynamic_size=False,
        normalization=NormalizationSpec(low_percentile=1, high_percentile=99.9),
        thresholds=Thresholds(foreground=0.45, seed=0.6, min_seed_area_px=4, min_area_px=12, max_hole_area_px=50),
        metrics={"kaggle": 0.53, "per_modality": {"fluorescence": [0.6, 0.55, 0.65]}},
        files={MODEL_NAME: "0" * 64},
        versions={"onnx": "1.23.0"},
    )
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card
    assert json.loads((tmp_path / CARD_NAME).read_text("utf-8"))["thresholds"]["foreground"] == 0.45


def test_a_card_tells_its_channels_classes_and_outputs():
    card = make_card()
    assert card.channel_count == 3
    assert make_card(channels="grey").channel_count == 1
    assert card.classes == ("rbc", "wbc")
    assert card.output_index("boundary") == 2
    assert card.output_index("distance") == 3
    only = make_card(outputs=[{"name": "cell", "role": "class"}])
    assert only.output_index("boundary") is None
    assert only.output_index("distance") is None


def test_what_a_card_may_leave_out_has_a_value():
    card = make_card()
    assert card.format_version == 1
    assert card.axes == "nyxc"
    assert card.dynamic_size
    assert card.normalization == NormalizationSpec(low_percentile=0.5, high_percentile=99.5)
    assert card.thresholds == Thresholds(
        foreground=0.5, seed=0.5, min_seed_area_px=0, min_area_px=0, max_hole_area_px=0
    )
    assert card.pixel_size_um is None
    assert card.object_diameter_px is None
    assert card.files == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"colour": "red"}, "colour", id="an unknown field"),
        pytest.param({"format_version": 2}, "format_version", id="a format of the future"),
        pytest.param({"name": "../nuclei"}, "name", id="a name that leaves its folder"),
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"task": "detection"}, "task", id="an unknown task"),
        pytest.param({"axes": "nchw"}, "axes", id="other axes"),
        pytest.param({"outputs": []}, "outputs", id="no output"),
        pytest.param({"outputs": [{"name": "b", "role": "boundary"}]}, "class output", id="no class"),
        pytest.param({"tile_sides": []}, "tile_sides", id="no tile side"),
        pytest.param({"tile_sides": [512, 256]}, "ascending", id="descending tile sides"),
        pytest.param({"tile_sides": [256, 256]}, "distinct", id="a tile side twice"),
        pytest.param({"tile_sides": [256, 500]}, "multiple of the divisor", id="a side the network cannot halve"),
        pytest.param({"tile_sides": [64], "halo": 32}, "halo", id="nothing left between the halos"),
        pytest.param({"halo": -16}, "halo", id="a negative halo"),
        pytest.param({"pixel_size_um": 0}, "pixel_size_um", id="pixels without size"),
        pytest.param({"thresholds": {"foreground": 1.5}}, "foreground", id="a probability above one"),
        pytest.param({"thresholds": {"min_area_px": -1}}, "min_area_px", id="a negative area"),
        pytest.param({"normalization": {"low_percentile": 101}}, "low_percentile", id="a percentile above 100"),
        pytest.param(
            {"normalization": {"low_percentile": 60, "high_percentile": 40}}, "smaller", id="percentiles crossed"
        ),
        pytest.param({"files": {MODEL_NAME: "abc"}}, "files", id="something that is no digest"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(changes, message, tmp_path):
    with pytest.raises(ValidationError, match=message):
        make_card(**changes)
    (tmp_path / CARD_NAME).write_text(json.dumps(FIELDS | changes), encoding="utf-8")
    with pytest.raises(BundleError, match=message):
        read_card(tmp_path)


@pytest.mark.parametrize("field", list(FIELDS))
def test_a_card_without_a_required_field_is_refused(field):
    with pytest.raises(ValidationError, match=field):
        ModelCard.model_validate({name: value for name, value in FIELDS.items() if name != field})


def test_a_missing_card_is_named(tmp_path):
    with pytest.raises(BundleError, match=f"{CARD_NAME} is missing"):
        read_card(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b'{"name": "nuclei"}'])
def test_a_file_that_is_no_card_is_refused(text, tmp_path):
    (tmp_path / CARD_NAME).write_bytes(text)
    with pytest.raises(BundleError, match="is no valid model card"):
        read_card(tmp_path)


def test_cards_and_their_parts_cannot_be_changed():
    card = make_card()
    with pytest.raises(ValidationError, match="frozen"):
        card.halo = 64
    with pytest.raises(ValidationError, match="frozen"):
        card.thresholds.seed = 0.1
    with pytest.raises(ValidationError, match="frozen"):
        Output(name="a", role="class").name = "b"
    with pytest.raises(ValidationError, match="frozen"):
        TrainingData(**FIELDS["training_data"]).images = 4


def test_the_digest_is_sha256(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_files_are_those_of_the_card(tmp_path):
    (tmp_path / MODEL_NAME).write_bytes(b"network")
    (tmp_path / "unlisted").write_bytes(b"anything")
    card = make_card(files={MODEL_NAME: hashlib.sha256(b"network").hexdigest()})
    verify_files(card, tmp_path)

    (tmp_path / MODEL_NAME).write_bytes(b"netwark")
    with pytest.raises(BundleError, match=f"{MODEL_NAME} is damaged"):
        verify_files(card, tmp_path)

    (tmp_path / MODEL_NAME).unlink()
    with pytest.raises(BundleError, match=f"{MODEL_NAME} is missing"):
        verify_files(card, tmp_path)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "a\0b"])
def test_a_card_names_files_of_its_own_folder_only(name):
    with pytest.raises(ValidationError, match="files"):
        make_card(files={name: "0" * 64})


@pytest.mark.parametrize("version", ["", "1.0\nX-Other: 1", "ä", "1 0"])
def test_a_version_can_travel_in_a_header(version):
    with pytest.raises(ValidationError, match="version"):
        make_card(version=version)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / CARD_NAME).mkdir()
    (tmp_path / MODEL_NAME).mkdir()
    with pytest.raises(BundleError, match=f"{CARD_NAME} cannot be read"):
        read_card(tmp_path)
    with pytest.raises(BundleError, match=f"{MODEL_NAME} cannot be read"):
        verify_files(make_card(files={MODEL_NAME: "0" * 64}), tmp_path)


AGREEMENT = {"images": 44, "subset": "tuning", "level_difference": 0.28, "confluency_difference": 0.06}
INT8 = {
    "default_on_cpu": True,
    "reason": "as good as float32 and 1.9 times as fast",
    "calibration_tiles": 96,
    "speedup": 1.9,
    "agreement": AGREEMENT,
}


def test_each_precision_has_its_files_where_the_bundle_has_them():
    card = make_card(int8=INT8)
    assert card.files_of("float32") == ("model.onnx", "test_output.npy")
    assert card.files_of("int8") == ("model.int8.onnx", "test_output.int8.npy")
    assert card.files_of("float16") is None
    assert make_card(float16={"agreement": AGREEMENT}).files_of("float16") == (
        "model.fp16.onnx",
        "test_output.fp16.npy",
    )


def test_the_files_of_lower_precision_survive_writing_and_reading(tmp_path):
    card = make_card(int8=INT8, float16={"agreement": AGREEMENT})
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize("change", [{"file": "../model.onnx"}, {"speedup": 0}, {"calibration_tiles": 0}])
def test_an_int8_network_is_described_in_full_and_within_its_folder(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        make_card(int8=INT8 | change)
