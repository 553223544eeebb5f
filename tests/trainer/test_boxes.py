"""Boxes become masks: ellipses, corrected by a table of exclusions."""

import doctest
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from monolayer_trainer.errors import DatasetError
from monolayer_trainer.readers import ellipses
from monolayer_trainer.readers.boxes import BoxesReader
from monolayer_trainer.readers.ellipses import draw_ellipses
from monolayer_trainer.readers.layouts import open_reader

HEADER = "image,xmin,ymin,xmax,ymax,label"
EXCLUSIONS = Path(__file__).resolve().parents[2] / "docs" / "models" / "blood" / "exclusions.csv"


def save(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(values, np.uint8))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


def write_boxes(folder: Path, *rows: str, header: str = HEADER) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.csv").write_text("\n".join((header, *rows)) + "\n")
    return folder


@pytest.mark.parametrize("box", ["a.png,0,0,4,4,cell", "a.png,0.0,0.0,0.5,1.0,cell"], ids=["pixels", "ratios"])
def test_boxes_in_pixels_and_in_ratios_give_the_same_ellipse(source: Path, box: str):
    save(source / "images" / "a.png", np.zeros((4, 8)))
    read = BoxesReader(write_boxes(source, box), masks="ellipse").read("a")
    expected = np.zeros((4, 8))
    expected[:, :4] = [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    np.testing.assert_array_equal(read.labels, expected)


def test_labels_of_boxes_become_classes_in_alphabetical_or_the_given_order(source: Path):
    save(source / "a.png", np.zeros((4, 12)))
    write_boxes(source, "a.png,0,0,4,4,wbc", "a.png,6,0,10,4,rbc")
    assert BoxesReader(source).classes == ("rbc", "wbc")
    assert BoxesReader(source).read("a").object_classes == (1, 0)
    assert BoxesReader(source, ("wbc", "rbc")).read("a").object_classes == (0, 1)
    with pytest.raises(DatasetError, match="label wbc, the classes are rbc"):
        BoxesReader(source, ("rbc",))


def test_where_ellipses_overlap_the_nearest_centre_in_units_of_its_axes_wins():
    labels = draw_ellipses(np.array([[0.0, 0, 10, 20], [0, 14, 10, 24]]), 10, 24)
    np.testing.assert_array_equal(labels[5, 12:20], [1, 1, 1, 1, 2, 2, 2, 2])


def test_an_ellipse_is_cut_at_the_image_and_one_outside_gives_no_object(source: Path, caplog):
    save(source / "a.png", np.zeros((4, 4)))
    write_boxes(source, "a.png,10,10,14,14,x", "a.png,-4,-4,4,4,y", "a.png,-9,-9,-5,-5,z")
    read = BoxesReader(source, masks="ellipse").read("a")
    assert read.object_classes == (1,)
    np.testing.assert_array_equal(read.labels, [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
    assert [record.args[1] for record in caplog.records if record.args] == [2, 4], "the lines of the table are named"


@pytest.mark.parametrize(
    ("row", "header", "message"),
    [
        (
            "a.png,4,0,2,2,x",
            HEADER,
            r"annotations\.csv, line 2: the box of a\.png has no ext",
        ),
        ("a.png,0,0,two,2,x", HEADER, r"annotations\.csv, line 2: .* must be numbers"),
        ("a.png,0,0,nan,2,x", HEADER, "no extent"),
        ("a.png,0,0,2,2", "image,xmin,ymin,xmax,ymax", "needs the columns image, xmin"),
    ],
    ids=["reversed", "no number", "not a number", "no label column"],
)
def test_a_bad_row_is_named(source: Path, row: str, header: str, message: str):
    save(source / "a.png", np.zeros((4, 4)))
    with pytest.raises(DatasetError, match=message):
        BoxesReader(write_boxes(source, row, header=header))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param((-9, 2, 4, 10), [(0, 2, 10), (3, 4, 8)], id="a box that goes on beyond the border"),
        pytest.param((0, 2, 2, 10), [(0, 2, 10), (1, 4, 8)], id="a shallow cut: a circle of radius 5 below row 2"),
        pytest.param((0, 2, 6, 10), [(0, 2, 10), (3, 2, 10), (5, 4, 8)], id="half and more: the circle of the width"),
    ],
)
def test_a_cell_cut_by_the_border_is_continued_behind_it(box, expected):
    drawn = draw_ellipses(np.array([box], np.float64), 20, 20)
    for row, left, right in expected:
        columns = drawn[row].nonzero()[0]
        assert (columns[0], columns[-1] + 1) == (left, right)


def test_the_example_is_right():
    assert doctest.testmod(ellipses).failed == 0


def test_a_cell_in_the_corner_fills_its_box():
    drawn = draw_ellipses(np.array([[12.0, 0, 20, 6]]), 20, 20)
    assert drawn[19].nonzero()[0].tolist() == list(range(6))
    assert drawn[:, 0].nonzero()[0].tolist() == list(range(12, 20))
    assert drawn[12, 5] == 0, "the corner that lies inside the image is rounded"


def write_exclusions(folder: Path, *rows: str, header: str = f"{HEADER},use,reason") -> Path:
    path = folder / "exclusions.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_exclusions_drop_and_relabel_whatever_their_units(source: Path, tmp_path: Path):
    save(source / "a.png", np.zeros((10, 20)))
    write_boxes(source, "a.png,0.05,0.1,0.25,0.5,x", "a.png,0.5,0.1,0.8,0.6,x", "a.png,0.5,0.1,0.8,0.6,y")
    exclusions = write_exclusions(tmp_path, "a.png,10,1,16,6,y,drop,twice", "a.png,1,1,5,5,x,y,wrong")
    read = BoxesReader(source, exclusions=exclusions, masks="ellipse").read("a")
    assert read.object_classes == (1, 0)
    assert read.boxes is not None
    np.testing.assert_allclose(read.boxes, [[1, 1, 5, 5], [1, 10, 6, 16]])


def test_a_label_that_no_box_keeps_is_no_class(source: Path, tmp_path: Path):
    save(source / "a.png", np.zeros((10, 20)))
    write_boxes(source, "a.png,1,1,5,5,x", "a.png,10,1,16,6,typo")
    exclusions = write_exclusions(tmp_path, "a.png,10,1,16,6,typo,y,spelling")
    assert BoxesReader(source, exclusions=exclusions).classes == ("x", "y")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param("a.png,1,1,5,8,x,drop,", r"line 2: no box of label x has these coordinates", id="elsewhere"),
        pytest.param("a.png,1,1,5,5,y,drop,", r"line 2: no box of label y has these coordinates", id="another label"),
        pytest.param("b.png,1,1,5,5,x,drop,", r"names the image b, of which there are no boxes", id="another image"),
        pytest.param("a.png,1,1,5,5,x,,why", r"line 2: use is drop or the right label", id="no use"),
        pytest.param("a.png,1,1,5,here,x,drop,", r"line 2: the coordinates must be numbers", id="no number"),
    ],
)
def test_an_exclusion_that_fits_nothing_is_named(source: Path, tmp_path: Path, row: str, message: str):
    save(source / "a.png", np.zeros((10, 20)))
    write_boxes(source, "a.png,1,1,5,5,x")
    with pytest.raises(DatasetError, match=message):
        BoxesReader(source, exclusions=write_exclusions(tmp_path, row)).read("a")


def test_a_box_is_excluded_once(source: Path, tmp_path: Path):
    save(source / "a.png", np.zeros((10, 20)))
    write_boxes(source, "a.png,1,1,5,5,x")
    exclusions = write_exclusions(tmp_path, *["a.png,1,1,5,5,x,drop,"] * 2)
    with pytest.raises(DatasetError, match="line 3: no box"):
        BoxesReader(source, exclusions=exclusions).read("a")


def test_a_table_without_its_columns_is_refused(source: Path, tmp_path: Path):
    write_boxes(source, "a.png,1,1,5,5,x")
    with pytest.raises(DatasetError, match="needs the columns image, xmin, ymin, xmax, ymax, label, use"):
        BoxesReader(source, exclusions=write_exclusions(tmp_path, header=HEADER))
    with pytest.raises(DatasetError, match="cannot be read"):
        BoxesReader(source, exclusions=tmp_path / "nowhere.csv")


def test_real_blood_boxes_become_objects_but_for_the_three_cells_that_are_boxed_twice(blood_cells: Path):
    reader = open_reader(blood_cells, "auto", box_masks="ellipse")
    assert (len(reader.ids), reader.left_out, reader.classes) == (80, (), ("rbc", "wbc"))
    found: Counter[int] = Counter()
    for image_id in reader.ids:
        read = reader.read(image_id)
        assert read.labels.max() == len(read.object_classes or ())
        found.update(read.object_classes or ())
    assert found == {0: 1803, 1: 83 - 3}


def test_the_exclusions_of_the_real_blood_boxes_fit_and_leave_no_box_covered(blood_cells: Path):
    reader = BoxesReader(blood_cells, ("rbc", "wbc"), masks="ellipse", exclusions=EXCLUSIONS)
    for name, wbc in (("image-100", 1), ("image-104", 1), ("image-114", 1)):
        classes = reader.read(name).object_classes or ()
        assert Counter(classes)[1] == wbc
        assert len(classes) == sum(row.startswith(f"{name[6:]},") for row in read_lines(blood_cells)) - 1


def read_lines(folder: Path) -> list[str]:
    return (folder / "annotations.csv").read_text().splitlines()
