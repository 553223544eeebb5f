"""Preparation writes a folder that training can trust, once."""

import csv
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.dataset import Dataset, read_split
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.prepare import counts_by_modality, prepare
from monolayer_trainer.readers.dsb2018 import Dsb2018Reader


@pytest.fixture
def discs(disc_dataset: Callable[..., Path], tmp_path: Path) -> Path:
    return disc_dataset(tmp_path, count=5)


def test_what_was_prepared_is_what_was_given(discs: Path):
    dataset = Dataset.load(discs)
    assert [sample.id for sample in dataset.samples] == [f"field{i}" for i in range(5)]
    for sample in dataset.samples:
        pixels, labels, object_classes = dataset.read(sample)
        stored = cv2.imread(str(discs.parent / "source" / "labels" / f"{sample.id}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(labels > 0, stored > 0)
        np.testing.assert_array_equal(pixels, np.where(stored > 0, 200, 10))
        assert sample.objects == labels.max() == len(np.unique(stored)) - 1
        assert (object_classes == 0).all()
        assert object_classes.shape == (sample.objects,)
    assert sum(dataset.pixels_per_class) == 5 * 80 * 96


def test_the_split_is_a_table_that_can_be_replaced(discs: Path):
    with (discs / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["ImageId", "group", "modality", "split"]
    dataset = Dataset.load(discs)
    assert len(dataset.subset("train")) == 4
    (discs / "split.csv").write_text(
        "ImageId,split\n" + "".join(f"{row['ImageId']},validation\n" for row in rows), encoding="utf-8"
    )
    assert dataset.subset("validation") == dataset.samples


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("ImageId,split\nfield0,train\n", "does not name the image field1"),
        ("ImageId,split\nfield0,train\nfield0,train\n", "line 3: field0 is named twice"),
        ("ImageId,split\nfield0,test\n", "line 2: needs an ImageId and a split of train or validation"),
        ("name,side\nfield0,train\n", "line 2: needs an ImageId"),
    ],
    ids=["incomplete", "twice", "another side", "other columns"],
)
def test_a_faulty_split_is_refused(discs: Path, table: str, message: str):
    (discs / "split.csv").write_text(table, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        Dataset.load(discs).subset("train")


def test_a_second_run_does_nothing_and_one_with_other_arguments_is_refused(discs: Path):
    source = discs.parent / "source"
    before = {file: file.stat().st_mtime_ns for file in discs.rglob("*")}
    again = prepare(source, discs, kind="labels", classes=("disc",))
    assert again == Dataset.load(discs)
    assert before == {file: file.stat().st_mtime_ns for file in discs.rglob("*")}
    with pytest.raises(DatasetError, match="prepared with another seed, validation_fraction"):
        prepare(source, discs, kind="labels", classes=("disc",), seed=1, validation_fraction=0.5)


def test_a_source_of_the_same_name_with_other_images_is_told_apart(discs: Path, tmp_path: Path):
    other = tmp_path / "elsewhere" / "source"
    shutil.copytree(discs.parent / "source", other)
    assert prepare(other, discs, kind="labels", classes=("disc",)) == Dataset.load(discs)
    for folder in ("images", "labels"):
        (other / folder / "field4.png").rename(other / folder / "field5.png")
    with pytest.raises(DatasetError, match="prepared with another image_names_sha256:"):
        prepare(other, discs, kind="labels", classes=("disc",))


def test_how_boxes_are_drawn_is_an_argument_of_the_preparation(tmp_path: Path):
    source, exclusions = tmp_path / "source", tmp_path / "exclusions.csv"
    source.mkdir()
    cv2.imwrite(str(source / "a.png"), np.zeros((40, 90, 3), np.uint8))
    header = "image,xmin,ymin,xmax,ymax,label"
    (source / "annotations.csv").write_text(f"{header}\na.png,5,5,40,40,cell\na.png,45,5,65,20,cell\n")
    exclusions.write_text(f"{header},use,reason\na.png,45,5,65,20,cell,drop,dust\n")
    dataset = prepare(source, tmp_path / "set", boxes="ellipse", exclusions=exclusions)
    assert dataset.objects == 1
    assert prepare(source, tmp_path / "set", boxes="ellipse", exclusions=exclusions) == dataset
    with pytest.raises(DatasetError, match="prepared with another boxes, exclusions"):
        prepare(source, tmp_path / "set")


@pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0, 1.5, float("nan")])
def test_a_validation_fraction_out_of_range_is_refused_before_anything_is_written(
    discs: Path, tmp_path: Path, fraction: float
):
    with pytest.raises(DatasetError, match="validation_fraction must lie between 0 and 1"):
        prepare(discs.parent / "source", tmp_path / "other", validation_fraction=fraction)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("limit", [-1, 0])
def test_a_limit_below_one_is_refused_before_anything_is_written(discs: Path, tmp_path: Path, limit: int):
    with pytest.raises(DatasetError, match=f"limit must be 1 or more, not {limit}"):
        prepare(discs.parent / "source", tmp_path / "other", limit=limit)
    assert not (tmp_path / "other").exists()


def test_an_interrupted_preparation_is_repeated(discs: Path):
    (discs / "dataset.json").unlink()
    (discs / "labels" / "field3.png").write_bytes(b"half")
    dataset = prepare(discs.parent / "source", discs, kind="labels", classes=("disc",))
    assert dataset.read(dataset.samples[3])[1].max() == dataset.samples[3].objects


def test_a_missing_file_is_noticed_by_the_second_run(discs: Path):
    (discs / "images" / "field2.png").unlink()
    with pytest.raises(DatasetError, match=r"field2\.png is missing"):
        prepare(discs.parent / "source", discs, kind="labels", classes=("disc",))


def test_the_source_is_never_written_to(discs: Path):
    source = discs.parent / "source"
    with pytest.raises(DatasetError, match="is the source"):
        prepare(source, source)


def test_the_contact_sheet_shows_the_outlines(discs: Path):
    sheet = cv2.imread(str(discs / "contact_sheet.png"))
    assert sheet.shape == (290, 6 * 256, 3)
    outline = (sheet == (0, 210, 255)).all(axis=2)
    assert outline[:256, :256].sum() > 100
    assert not outline[:, 5 * 256 :].any(), "five samples, the sixth place is empty"


def test_limit_progress_groups_and_what_is_left_out(discs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    source = discs.parent / "source"
    shutil.copy(source / "images" / "field0.png", source / "images" / "lonely.png")
    table = tmp_path / "groups.csv"
    table.write_text("ImageId,group,modality\n" + "".join(f"field{i},g{i // 2},phase\n" for i in range(5)))
    seen: list[tuple[int, int]] = []
    with caplog.at_level(logging.INFO):
        dataset = prepare(
            source,
            tmp_path / "other",
            groups=table,
            limit=4,
            validation_fraction=0.5,
            pixel_size_um=0.65,
            confluency_of="nucleus",
            progress=lambda done, total: seen.append((done, total)),
        )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert dataset.classes == ("nucleus",)
    assert {sample.pixel_size_um for sample in dataset.samples} == {0.65}
    side_of = read_split(tmp_path / "other" / "split.csv")
    assert side_of["field0"] == side_of["field1"] != side_of["field2"] == side_of["field3"]
    assert counts_by_modality(dataset) == {("phase", "train"): 2, ("phase", "validation"): 2}
    assert dataset.left_out == ("images/lonely.png: nothing of that name in labels",)
    assert [record.getMessage() for record in caplog.records if record.name == "monolayer_trainer.prepare"] == [
        f"4 images with {dataset.objects} objects"
    ], "the split and what is left out are the caller's to show"


def test_class_weights_are_the_inverse_frequency_in_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    source = tmp_path / "source"
    (source).mkdir()
    cv2.imwrite(str(source / "a.png"), np.zeros((40, 90, 3), np.uint8))
    (source / "annotations.csv").write_text(
        "image,xmin,ymin,xmax,ymax,label\na.png,0,0,40,40,wbc\na.png,45,0,65,20,rbc\n", encoding="utf-8"
    )
    with caplog.at_level(logging.INFO):
        dataset = prepare(source, tmp_path / "set")
    assert dataset.classes == ("rbc", "wbc")
    assert dataset.read(dataset.samples[0])[2].tolist() == [1, 0]
    assert dataset.samples[0].boxes == ((0, 0, 40, 40), (0, 45, 20, 65))
    rbc, wbc = dataset.class_weights
    assert rbc / wbc == pytest.approx(dataset.pixels_per_class[2] / dataset.pixels_per_class[1])
    assert rbc / wbc == pytest.approx(4, rel=0.02)
    assert rbc + wbc == pytest.approx(2)
    assert "class rbc: weight 1.6" in caplog.text


@pytest.mark.parametrize(
    ("pixels_per_class", "weights"),
    [
        pytest.param((10, 6, 0, 2), (0.5, 1.0, 1.5), id="one absent"),
        pytest.param((10, 0, 0), (1.0, 1.0), id="all absent"),
    ],
)
def test_an_absent_class_weighs_one_and_the_configuration_takes_it(
    discs: Path, pixels_per_class: tuple[int, ...], weights: tuple[float, ...]
):
    dataset = Dataset.load(discs).model_copy(update={"pixels_per_class": pixels_per_class})
    assert dataset.class_weights == pytest.approx(weights)
    assert TrainConfig(class_weights=dataset.class_weights).class_weights == dataset.class_weights


@pytest.mark.parametrize("values", [[[0.5, 1.5]], [[-3.0, 70000.0]]])
def test_float_images_are_kept_without_loss(tmp_path: Path, values: list[list[float]]):
    source = tmp_path / "source"
    for name, stored in (("images/a.npy", np.array(values, np.float32)), ("labels/a.npy", np.array([[0, 70000]]))):
        (source / name).parent.mkdir(parents=True)
        np.save(source / name, stored)
    dataset = prepare(source, tmp_path / "set")
    pixels, labels, _ = dataset.read(dataset.samples[0])
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, values)
    np.testing.assert_array_equal(labels, [[0, 1]])


def test_more_objects_than_sixteen_bits_hold_are_kept(tmp_path: Path):
    source = tmp_path / "source"
    for name in ("images", "labels"):
        (source / name).mkdir(parents=True)
    np.save(source / "images" / "a.npy", np.zeros((300, 300), np.uint8))
    np.save(source / "labels" / "a.npy", np.arange(90_000, dtype=np.int32).reshape(300, 300))
    dataset = prepare(source, tmp_path / "set")
    assert dataset.read(dataset.samples[0])[1].max() == dataset.objects == 89_999


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"name": 1}'], ids=["empty", "no fields", "a list", "wrong type"])
def test_a_damaged_description_is_refused(tmp_path: Path, content: str):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DatasetError, match=r"dataset\.json is no valid data set"):
        Dataset.load(tmp_path)


def test_a_folder_that_was_not_prepared_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="run `monolayer-train prepare` first"):
        Dataset.load(tmp_path)


def test_images_and_labels_that_do_not_fit_any_more_are_refused(discs: Path):
    dataset = Dataset.load(discs)
    cv2.imwrite(str(discs / "labels" / "field0.png"), np.zeros((3, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"labels/field0\.png measures \(3, 3\)"):
        dataset.read(dataset.samples[0])
    (discs / "labels" / "field0.png").unlink()
    with pytest.raises(DatasetError, match=r"field0\.png is missing"):
        dataset.read(dataset.samples[0])


def test_real_images_are_prepared_from_the_archive(dsb2018: Path, tmp_path: Path):
    archive = dsb2018 / "stage1_train.zip"
    dataset = prepare(
        archive,
        tmp_path / "set",
        groups=dsb2018 / "image_groups.csv",
        licence="CC0-1.0",
        confluency_of="nucleus",
        limit=8,
    )
    reader = Dsb2018Reader(archive)
    sample = dataset.samples[5]
    read = reader.read(sample.id)
    pixels, labels, _ = dataset.read(sample)
    np.testing.assert_array_equal(pixels, read.pixels)
    np.testing.assert_array_equal(labels, read.labels)
    described = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert described["samples"][5]["objects"] == sample.objects
    assert str(tmp_path) not in json.dumps(described)
