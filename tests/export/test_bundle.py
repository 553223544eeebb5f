"""The bundle folder: whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from monolayer_core.errors import BundleError
from monolayer_core.model_card import ModelCard, write_card
from monolayer_export.bundle import replacing, verify_bundle, write_bundle
from monolayer_export.errors import ExportError
from monolayer_export.graph import add_uint8_rim, describe


@pytest.fixture
def bundle(tmp_path: Path, make_float_graph: Callable[..., onnx.ModelProto], toy_card: ModelCard) -> Path:
    model = make_float_graph([helper.make_node("Sigmoid", ["x"], ["y"])], {}, channels=3, outputs=3)
    add_uint8_rim(model, toy_card)
    describe(model, toy_card)
    tiles = np.arange(64 * 64 * 3, dtype=np.int64).reshape(1, 64, 64, 3).astype(np.uint8)
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_bundle(folder, toy_card, {"float32": model.SerializeToString()}, tiles)
    return folder


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_holds_network_card_and_test_tensors(bundle: Path) -> None:
    card = verify_bundle(bundle)

    assert contents(bundle) == ["model.onnx", "model_card.json", "test_input.npy", "test_output.npy"]
    assert sorted(card.files) == ["model.onnx", "test_input.npy", "test_output.npy"]
    assert np.load(bundle / "test_output.npy")[0, 0, 0].tolist() == [128, 186, 225]  # 255 sigmoid(0, 1, 2), rounded


def test_a_changed_file_is_refused(bundle: Path) -> None:
    np.save(bundle / "test_input.npy", np.zeros((1, 64, 64, 3), np.uint8))

    with pytest.raises(BundleError, match="damaged"):
        verify_bundle(bundle)


def test_a_network_that_does_not_give_the_stored_answer_is_refused(bundle: Path, toy_card: ModelCard) -> None:
    np.save(bundle / "test_input.npy", np.zeros((1, 64, 64, 3), np.uint8))
    write_card(toy_card, bundle)  # a card without digests

    with pytest.raises(BundleError, match="does not give"):
        verify_bundle(bundle)


def test_a_new_folder_takes_its_place_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "bundles" / "nuclei"

    with replacing(target, force=False) as folder:
        (folder / "file").write_text("new")

    assert (target / "file").read_text() == "new"
    assert contents(target.parent) == ["nuclei"]


def test_an_existing_folder_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "nuclei"
    target.mkdir()
    (target / "old").write_text("old")

    with pytest.raises(ExportError, match="--force"), replacing(target, force=False):
        pass
    assert contents(target) == ["old"]
    with replacing(target, force=True) as folder:
        (folder / "new").write_text("new")
    assert contents(target) == ["new"]
    assert contents(tmp_path) == ["nuclei"]


def test_a_failure_leaves_the_former_bundle_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "nuclei"
    target.mkdir()
    (target / "old").write_text("old")

    def fail() -> None:
        with replacing(target, force=True) as folder:
            (folder / "new").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert contents(target) == ["old"]
    assert contents(tmp_path) == ["nuclei"]


def test_a_failing_exchange_puts_the_former_bundle_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "nuclei"
    target.mkdir()
    (target / "old").write_text("old")
    rename = Path.rename

    def rename_but_not_the_new(self: Path, other: Path) -> Path:
        if self.name == "new":
            raise OSError("no space left")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", rename_but_not_the_new)
    with pytest.raises(OSError, match="no space"), replacing(target, force=True):
        pass

    assert contents(target) == ["old"]


def test_a_file_is_never_taken_for_a_bundle(tmp_path: Path) -> None:
    target = tmp_path / "nuclei"
    target.write_text("notes")

    with pytest.raises(ExportError, match="is a file"), replacing(target, force=True):
        pass
    assert target.read_text() == "notes"


def test_a_network_that_the_card_does_not_describe_is_not_written(bundle: Path, toy_card: ModelCard) -> None:
    content = (bundle / "model.onnx").read_bytes()

    with pytest.raises(BundleError, match="does not describe the int8 network"):
        write_bundle(bundle, toy_card, {"float32": content, "int8": content}, np.load(bundle / "test_input.npy"))
