"""Where the images come from on which an export is tried."""

import json
from pathlib import Path

import numpy as np
import pytest

from monolayer_core.image_io import encode_png
from monolayer_core.model_card import ModelCard
from monolayer_export.errors import ExportError
from monolayer_export.images import evenly_spaced, gather_images, mosaic, square_crop, synthetic_images


def write_image(path: Path, side: int, *, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    path.write_bytes(encode_png(grey))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A prepared data set: a large image for training, a larger one held out."""
    folder = tmp_path / "dataset"
    for name, side in (("learned", 100), ("held_out", 120)):
        write_image(folder / "images" / f"{name}.png", side)
    samples = [{"id": name, "image": f"images/{name}.png"} for name in ("learned", "held_out")]
    (folder / "dataset.json").write_text(json.dumps({"samples": samples}))
    (folder / "split.csv").write_text("ImageId,group,modality,split\nlearned,1,a,train\nheld_out,2,a,validation\n")
    return folder


def shapes(images: tuple[np.ndarray, ...]) -> list[tuple[int, ...]]:
    return [image.shape for image in images]


def test_the_held_out_images_of_the_runs_data_set_are_used(tmp_path: Path, dataset: Path, toy_card: ModelCard) -> None:
    (tmp_path / "provenance.json").write_text(json.dumps({"dataset_folder": str(dataset)}))

    trial = gather_images(tmp_path, toy_card)

    assert shapes(trial.images) == [(120, 120, 3)]
    assert trial.origin == "real images: 1"


def test_a_prepared_data_set_can_be_named(tmp_path: Path, dataset: Path, toy_card: ModelCard) -> None:
    assert shapes(gather_images(tmp_path, toy_card, dataset).images) == [(120, 120, 3)]


def test_where_no_image_is_held_out_all_are_used(tmp_path: Path, dataset: Path, toy_card: ModelCard) -> None:
    (dataset / "split.csv").write_text("ImageId,split\nlearned,train\nheld_out,train\n")

    assert shapes(gather_images(tmp_path, toy_card, dataset).images) == [(120, 120, 3), (100, 100, 3)]


def test_a_folder_of_images_can_be_named_and_other_files_in_it_are_left_out(
    tmp_path: Path, dataset: Path, toy_card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    (dataset / "images" / "notes.txt").write_text("not an image")

    trial = gather_images(tmp_path, toy_card, dataset / "images")

    assert shapes(trial.images) == [(120, 120, 3), (100, 100, 3)]
    assert "notes.txt is left out" in caplog.text


def test_a_held_out_image_that_is_missing_is_left_out_and_named(
    tmp_path: Path, dataset: Path, toy_card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    (dataset / "split.csv").write_text("ImageId,split\nlearned,validation\nheld_out,validation\n")
    (dataset / "images" / "held_out.png").unlink()

    assert shapes(gather_images(tmp_path, toy_card, dataset).images) == [(100, 100, 3)]
    assert "held_out.png is left out: it cannot be opened (No such file or directory)" in caplog.text


def test_images_no_larger_than_a_tile_are_laid_side_by_side(tmp_path: Path, toy_card: ModelCard) -> None:
    for seed in range(2):
        write_image(tmp_path / "images" / f"{seed}.png", 50, seed=seed)

    trial = gather_images(tmp_path, toy_card, tmp_path / "images")

    assert shapes(trial.images) == [(128, 128, 3)]
    assert "side by side" in trial.origin


def test_without_images_the_texture_is_made_up_and_the_log_says_so(
    tmp_path: Path, toy_card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    trial = gather_images(tmp_path, toy_card)

    assert shapes(trial.images) == [(768, 768, 3), (768, 768, 3)]
    assert "synthetic texture" in caplog.text


def test_a_named_folder_without_images_is_an_error(tmp_path: Path, toy_card: ModelCard) -> None:
    with pytest.raises(ExportError, match="holds no image"):
        gather_images(tmp_path, toy_card, tmp_path)


def test_synthetic_images_are_the_same_every_time_and_fill_the_range() -> None:
    first, again = (list(synthetic_images(1, side=128)) for _ in range(2))

    np.testing.assert_array_equal(first, again)
    assert (first[0].min(), first[0].max()) == (0, 255)
    assert not np.array_equal(first[0], first[1])


def test_a_small_image_is_reflected_into_the_square() -> None:
    image = np.array([[[1], [2], [3]]], np.uint8)

    assert square_crop(image, 4)[..., 0].tolist() == [[1, 2, 3, 2]] * 4


def test_a_mosaic_shows_every_image_in_turn() -> None:
    images = [np.full((2, 2, 1), value, np.uint8) for value in (1, 2, 3)]

    assert mosaic(images, 1)[..., 0].tolist() == [[1, 2], [3, 1]]


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (3, [0, 2, 4]), (7, list(range(7))), (9, list(range(7)))])
def test_items_are_spread_evenly(count: int, expected: list[int]) -> None:
    assert evenly_spaced(range(7), count) == expected
