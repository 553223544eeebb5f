"""Images of prepared data sets, with what they served for."""

import json
from pathlib import Path

import numpy as np
import pytest

from monolayer_core.image_io import encode_png
from monolayer_core.model_card import ModelCard
from monolayer_export.errors import ExportError
from monolayer_export.prepared import (
    PreparedImage,
    cut_tiles,
    images_of_folder,
    images_of_run,
    read_examples,
    spread,
)


def names(images: list[PreparedImage]) -> list[str]:
    return [image.image.stem for image in images]


def test_of_a_prepared_data_set_the_training_side_is_used(labelled_data: Path) -> None:
    images = images_of_folder(labelled_data)

    assert names(images) == [f"image{number:02}" for number in range(10)]
    assert {image.use for image in images} == {"training"}
    assert images[0].labels == labelled_data / "labels" / "image00.png"


def test_a_run_says_what_each_image_served_for(tmp_path: Path, labelled_data: Path) -> None:
    (tmp_path / "provenance.json").write_text(json.dumps({"dataset_folder": str(labelled_data)}))
    (tmp_path / "images.csv").write_text("ImageId,use\nimage03,training\nimage01,tuning\n")

    assert [(image.image.stem, image.use) for image in images_of_run(tmp_path)] == [
        ("image01", "tuning"),
        ("image03", "training"),
    ]


def test_a_run_that_does_not_say_has_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    assert images_of_run(tmp_path) == []
    assert "training images cannot be read" in caplog.text


def test_files_of_any_folder_are_images_without_labels(labelled_data: Path) -> None:
    images = images_of_folder(labelled_data / "images")

    assert len(images) == 12
    assert {(image.labels, image.use) for image in images} == {(None, "unlabelled")}


def test_a_damaged_data_set_is_an_error(labelled_data: Path) -> None:
    (labelled_data / "split.csv").unlink()

    with pytest.raises(ExportError, match="no valid data set"):
        images_of_folder(labelled_data)


def kinds(**counts: int) -> list[PreparedImage]:
    return [
        PreparedImage(Path(f"{kind}{number}"), None, kind, "training")
        for kind, count in counts.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("counts", "limit", "expected"),
    [
        ({"a": 10, "b": 10}, 4, ["a0", "a5", "b0", "b5"]),
        ({"a": 10, "b": 1}, 5, ["b0", "a0", "a2", "a5", "a7"]),
        ({"a": 2, "b": 1}, 9, ["b0", "a0", "a1"]),
        ({"a": 3}, 0, []),
        ({}, 5, []),
    ],
)
def test_kinds_share_evenly_and_what_a_rare_one_lacks_goes_to_the_others(counts, limit, expected) -> None:
    assert [str(image.image) for image in spread(kinds(**counts), limit)] == expected


def test_tiles_are_whole_normalised_and_the_same_every_time(labelled_data: Path, toy_card: ModelCard) -> None:
    images = images_of_folder(labelled_data)[:3]

    tiles, again = (cut_tiles(images, toy_card) for _ in range(2))

    np.testing.assert_array_equal(tiles, again)
    assert np.shape(tiles) == (3, 64, 64, 3)
    assert max(tile.max() for tile in tiles) == 255


def test_a_tile_of_a_small_image_is_reflected(tmp_path: Path, toy_card: ModelCard) -> None:
    (tmp_path / "small.png").write_bytes(encode_png(np.tile(np.arange(0, 250, 5, dtype=np.uint8), (50, 1))))

    (tile,) = cut_tiles(images_of_folder(tmp_path), toy_card)

    assert tile.shape == (64, 64, 3)
    np.testing.assert_array_equal(tile[:, 50:60], tile[:, 48:38:-1])


def test_what_cannot_be_read_is_left_out_and_named(labelled_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    (labelled_data / "images" / "image00.png").write_bytes(b"nothing")
    (labelled_data / "images" / "image01.png").unlink()
    (labelled_data / "labels" / "image02.png").write_bytes(encode_png(np.zeros((3, 4), np.uint8)))

    examples = list(read_examples(images_of_folder(labelled_data)[:4]))

    assert [int(example.labels.max()) for example in examples] == [4]
    for text in ("image00.png is left out", "image01.png is left out: it cannot be opened", "measure (3, 4)"):
        assert text in caplog.text
