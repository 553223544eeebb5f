"""Every layout gives the same kind of value: pixels, one number per object, a class for each."""

import csv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from monolayer_trainer.errors import DatasetError
from monolayer_trainer.groups import read_fields, read_groups
from monolayer_trainer.readers.dsb2018 import Dsb2018Reader
from monolayer_trainer.readers.layouts import find_layout, open_reader
from monolayer_trainer.readers.pairs import LabelsReader, MasksReader, connected_regions


def save(path: Path, values: object, dtype: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(values, dtype))


def as_zip(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def dsb_folder(source: Path) -> Path:
    """One colour image with three nuclei, of which two overlap in one pixel."""
    colour = np.zeros((3, 4, 3), np.uint8)
    colour[0, 0] = (10, 20, 30)  # OpenCV writes blue, green, red
    save(source / "a1" / "images" / "a1.png", colour)
    save(source / "a1" / "masks" / "m1.png", [[255, 255, 255, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    save(source / "a1" / "masks" / "m2.png", [[0, 0, 255, 255], [0, 0, 0, 0], [0, 0, 0, 0]])
    save(source / "a1" / "masks" / "m3.png", [[0, 0, 0, 0], [0, 0, 0, 0], [255, 0, 0, 0]])
    return source


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_dsb2018_merges_the_masks_and_keeps_colours_in_order(dsb_folder: Path, zipped: bool):
    reader = Dsb2018Reader(as_zip(dsb_folder) if zipped else dsb_folder)
    assert (reader.ids, reader.left_out) == (("a1",), ())
    read = reader.read("a1")
    np.testing.assert_array_equal(read.pixels[0, 0], [30, 20, 10])
    np.testing.assert_array_equal(read.labels, [[1, 1, 2, 2], [0, 0, 0, 0], [3, 0, 0, 0]])


def test_dsb2018_may_lie_in_a_folder_of_its_own_inside_the_zip(dsb_folder: Path):
    assert Dsb2018Reader(as_zip(dsb_folder.parent)).ids == ("a1",)


def test_dsb2018_lists_what_has_no_counterpart(dsb_folder: Path):
    save(dsb_folder / "b2" / "images" / "b2.png", np.zeros((2, 2)))
    save(dsb_folder / "c3" / "masks" / "m.png", np.zeros((2, 2)))
    reader = Dsb2018Reader(dsb_folder)
    assert reader.ids == ("a1",)
    assert reader.left_out == ("b2/images/b2.png: no masks", "c3/masks: no image")


def test_dsb2018_names_a_mask_of_another_size(dsb_folder: Path):
    save(dsb_folder / "a1" / "masks" / "m9.png", np.zeros((2, 2)))
    with pytest.raises(DatasetError, match=r"a1/masks/m9\.png measures \(2, 2\), its image \(3, 4\)"):
        Dsb2018Reader(dsb_folder).read("a1")


def test_dsb2018_gives_a_pixel_of_two_equal_nuclei_to_the_later_file_and_empty_masks_no_number(dsb_folder: Path):
    save(dsb_folder / "a1" / "masks" / "m0.png", np.zeros((3, 4)))
    save(dsb_folder / "a1" / "masks" / "m4.png", [[0, 0, 0, 255], [0, 0, 0, 255], [0, 0, 0, 0]])
    labels = Dsb2018Reader(dsb_folder).read("a1").labels
    np.testing.assert_array_equal(labels, [[1, 1, 2, 3], [0, 0, 0, 3], [4, 0, 0, 0]])


def test_a_damaged_file_is_named(dsb_folder: Path):
    (dsb_folder / "a1" / "masks" / "m2.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(DatasetError, match=r"a1/masks/m2\.png"):
        Dsb2018Reader(dsb_folder).read("a1")


def test_a_damaged_archive_is_named(tmp_path: Path):
    path = tmp_path / "set.zip"
    path.write_bytes(b"PK nothing")
    with pytest.raises(DatasetError, match=r"set\.zip is no readable zip archive"):
        Dsb2018Reader(path)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        pytest.param([[0, 255, 0, 255]], np.uint8, id="0 and 255"),
        pytest.param([[0, 1, 0, 1]], np.uint8, id="0 and 1"),
        pytest.param([[0, 65535, 0, 65535]], np.uint16, id="16 bits"),
        pytest.param([[3, 250, 90, 255]], np.uint8, id="smeared"),
    ],
)
def test_regions_of_a_binary_mask_become_objects(source: Path, values: list[list[int]], dtype: type):
    save(source / "images" / "a.png", np.zeros((1, 4)))
    save(source / "masks" / "a.png", values, dtype)
    np.testing.assert_array_equal(MasksReader(source).read("a").labels, [[0, 1, 0, 2]])


def test_a_mask_of_many_values_is_not_taken_for_a_binary_one(source: Path):
    save(source / "images" / "a.png", np.zeros((1, 4)))
    save(source / "masks" / "a.png", [[0, 1, 2, 3]])
    with pytest.raises(DatasetError, match=r"masks/a\.png: a mask holds two values.*label image\?"):
        MasksReader(source).read("a")


def test_masks_of_several_classes_give_the_class_of_each_region(source: Path):
    save(source / "images" / "a.png", np.zeros((2, 5)))
    save(source / "masks" / "a.png", [[1, 1, 2, 0, 1], [0, 0, 2, 0, 0]])
    read = MasksReader(source, ("cell", "debris")).read("a")
    np.testing.assert_array_equal(read.labels, [[1, 1, 3, 0, 2], [0, 0, 3, 0, 0]])
    assert read.object_classes == (0, 0, 1)
    save(source / "masks" / "a.png", [[0, 0, 0, 0, 3], [0, 0, 0, 0, 0]])
    with pytest.raises(DatasetError, match=r"masks/a\.png: holds the value 3, but there are 2 classes"):
        MasksReader(source, ("cell", "debris")).read("a")


def test_diagonal_neighbours_are_one_region_but_not_across_classes():
    labels, classes = connected_regions(np.array([[1, 0, 2], [0, 1, 0]], np.int32))
    np.testing.assert_array_equal(labels, [[1, 0, 2], [0, 1, 0]])
    assert classes == (0, 1)


def test_label_images_keep_objects_in_two_pieces_whole_and_lose_the_gaps_in_numbers(source: Path):
    save(source / "images" / "a.tif", np.zeros((1, 5)), np.uint16)
    save(source / "labels" / "a.png", [[7, 0, 900, 0, 7]], np.uint16)
    read = LabelsReader(source).read("a")
    np.testing.assert_array_equal(read.labels, [[1, 0, 2, 0, 1]])
    assert read.object_classes is None


def test_files_without_a_partner_are_listed(source: Path):
    for name in ("images/a.png", "images/b.jpg", "labels/a.tif", "labels/c.png"):
        save(source / name, np.zeros((2, 2)))
    reader = LabelsReader(source)
    assert reader.ids == ("a",)
    assert reader.left_out == ("images/b.jpg: nothing of that name in labels", "labels/c.png: no image of that name")


def test_two_files_of_the_same_name_are_refused(source: Path):
    for name in ("images/a.png", "images/a.jpg", "labels/a.png"):
        save(source / name, np.zeros((2, 2)))
    with pytest.raises(DatasetError, match=r"images/a\.jpg and images/a\.png have the same name"):
        LabelsReader(source)


def test_no_pair_at_all_is_an_error(source: Path):
    save(source / "images" / "a.png", np.zeros((2, 2)))
    save(source / "labels" / "b.png", np.zeros((2, 2)))
    with pytest.raises(DatasetError, match="no file in images has a partner"):
        LabelsReader(source)


def test_coloured_labels_are_refused(source: Path):
    save(source / "images" / "a.png", np.zeros((1, 2)))
    save(source / "labels" / "a.png", np.array([[[1, 2, 3], [0, 0, 0]]]))
    with pytest.raises(DatasetError, match=r"labels/a\.png: .* coloured"):
        LabelsReader(source).read("a")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param([[0.5, 1.0]], r"labels/a\.npy: .* fractions", id="fractions"),
        pytest.param([[-1, 1]], r"labels/a\.npy: .* negative", id="negative"),
    ],
)
def test_labels_that_are_no_numbers_of_objects_are_refused(source: Path, values: list[list[float]], message: str):
    save(source / "images" / "a.png", np.zeros((1, 2)))
    (source / "labels").mkdir()
    np.save(source / "labels" / "a.npy", np.array(values))
    with pytest.raises(DatasetError, match=message):
        LabelsReader(source).read("a")


LAYOUTS = {
    "dsb2018": ("a1/images/a1.png", "a1/masks/m.png"),
    "dsb2018 in a folder": ("train/a1/images/a1.png", "train/a1/masks/m.png"),
    "masks": ("images/x.png", "masks/x.png"),
    "masks in a folder": ("set/images/x.png", "set/masks/x.png"),
    "labels": ("images/x.png", "labels/x.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_is_told_by_the_names(source: Path, layout: str):
    for name in LAYOUTS[layout]:
        save(source / name, np.zeros((2, 2)))
    assert find_layout(source) == layout.split(maxsplit=1)[0]


def test_a_table_of_boxes_tells_its_layout(source: Path):
    save(source / "images" / "a.png", np.zeros((4, 4)))
    (source / "annotations.csv").write_text("image,xmin,ymin,xmax,ymax,label\na.png,0,0,2,2,x\n")
    assert find_layout(source) == "boxes"
    with pytest.raises(DatasetError, match="exclusions name boxes, and the layout labels has none"):
        open_reader(source, "labels", exclusions=source / "annotations.csv")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("images/x.png",), "fits no known layout"),
        (("images/x.png", "masks/x.png", "labels/x.png"), "both masks and labels"),
    ],
)
def test_an_unclear_layout_is_not_guessed(source: Path, names: tuple[str, ...], message: str):
    for name in names:
        save(source / name, np.zeros((2, 2)))
    with pytest.raises(DatasetError, match=message):
        find_layout(source)


def test_several_classes_need_a_layout_that_tells_them(dsb_folder: Path):
    with pytest.raises(DatasetError, match="does not say which of the classes a, b"):
        open_reader(dsb_folder, "dsb2018", ("a", "b"))


def test_a_source_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(DatasetError, match="neither a folder nor a zip"):
        open_reader(tmp_path / "nowhere", "labels")


def test_groups_name_group_and_modality(tmp_path: Path):
    table = tmp_path / "groups.csv"
    table.write_text("ImageId,group,modality,Height\na,g1,phase,5\nb,g1,,5\n")
    assert read_groups(table, ["a", "b"]) == {"a": ("g1", "phase"), "b": ("g1", "unknown")}
    with pytest.raises(DatasetError, match="does not name 1 images, among them c"):
        read_groups(table, ["a", "c"])


def test_pairs_of_images_make_groups_across_pairs(tmp_path: Path):
    table = tmp_path / "pairs.csv"
    table.write_text("image_a,image_b\na.png,b.png\nd.png,c.png\nb.png,c.png\nx.png,elsewhere.png\n")
    groups = {name: group for name, (group, _) in read_groups(table, list("abcdx")).items()}
    assert groups == {"a": "a", "b": "a", "c": "a", "d": "a", "x": "x"}


def test_modalities_come_from_a_table_of_their_own_with_and_without_groups(tmp_path: Path):
    pairs, kinds = tmp_path / "pairs.csv", tmp_path / "kinds.csv"
    pairs.write_text("image_a,image_b\na.png,b.png\n")
    kinds.write_text("ImageId,modality\nb,purplish\n")
    assert read_fields(["a", "b"], pairs, kinds) == {"a": ("a", "unknown"), "b": ("a", "purplish")}
    assert read_fields(["a", "b"], None, kinds) == {"a": ("a", "unknown"), "b": ("b", "purplish")}
    assert read_fields(["a"], None, None) == {"a": ("a", "unknown")}
    kinds.write_text("ImageId,modality\nb,purplish\nb,pink\n")
    with pytest.raises(DatasetError, match="names b twice"):
        read_fields(["a"], None, kinds)
    with pytest.raises(DatasetError, match="needs the columns ImageId,modality"):
        read_fields(["a"], None, pairs)


def test_another_table_is_not_taken_for_groups(tmp_path: Path):
    table = tmp_path / "groups.csv"
    table.write_text("name,size\na,1\n")
    with pytest.raises(DatasetError, match="needs the columns ImageId,group"):
        read_groups(table, ["a"])
    with pytest.raises(DatasetError, match="is missing"):
        read_groups(tmp_path / "nowhere.csv", ["a"])


def test_every_nucleus_of_real_images_is_found(dsb2018: Path):
    reader = Dsb2018Reader(dsb2018 / "stage1_train.zip")
    with (dsb2018 / "image_groups.csv").open() as file:
        expected = {row["ImageId"]: row for row in csv.DictReader(file)}
    assert set(reader.ids) == set(expected)
    assert reader.left_out == ()
    for image_id in reader.ids[::45]:
        read = reader.read(image_id)
        assert read.labels.max() == int(expected[image_id]["n_nuclei"])
        assert read.pixels.shape == (int(expected[image_id]["Height"]), int(expected[image_id]["Width"]), 3)


def test_real_phase_contrast_labels_are_read_whole(usiigaci: Path):
    reader = open_reader(usiigaci, "auto")
    with (usiigaci / "manifest.csv").open() as file:
        expected = {Path(row["image"]).stem: row for row in csv.DictReader(file)}
    assert set(reader.ids) == set(expected)
    for image_id in reader.ids[:3]:
        read = reader.read(image_id)
        assert read.pixels.dtype == np.uint16
        assert read.labels.max() == int(expected[image_id]["n_cells"])
        confluency = float(expected[image_id]["confluency_percent"])
        assert 100 * np.mean(read.labels > 0) == pytest.approx(confluency, abs=1e-3)
