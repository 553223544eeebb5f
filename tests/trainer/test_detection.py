"""What a method finds is counted by class, against annotated boxes where there are some."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from monolayer_core.class_counts import ClassCounts
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.detection import (
    Found,
    count_detected,
    is_told_by_class,
    summarise_classes,
    truth_boxes,
    write_class_counts,
)
from monolayer_trainer.evaluate import summarise_detected
from monolayer_trainer.methods import Evaluated
from monolayer_trainer.prepare import prepare
from monolayer_trainer.report import class_lines
from monolayer_trainer.tables import read_rows


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two overlapping red cells, of whose masks the second is cut short, and a white one."""
    source = tmp_path / "source"
    source.mkdir()
    cv2.imwrite(str(source / "a.png"), np.zeros((40, 90, 3), np.uint8))
    (source / "annotations.csv").write_text(
        "image,xmin,ymin,xmax,ymax,label\na.png,5,5,25,25,rbc\na.png,12,5,32,25,rbc\na.png,50,5,80,35,wbc\n"
    )
    return prepare(source, tmp_path / "set", boxes="ellipse")


def painted(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros((40, 90), np.int32)
    for number, (ymin, xmin, ymax, xmax) in enumerate(boxes, start=1):
        labels[ymin:ymax, xmin:xmax] = number
    return labels


def truth_of(dataset: Dataset) -> Found:
    _, labels, classes = dataset.read(dataset.samples[0])
    return Found(labels, classes, dataset.classes)


def test_boxes_count_as_annotated_and_not_as_their_masks_were_cut(dataset: Dataset):
    sample = dataset.samples[0]
    truth = truth_of(dataset)
    np.testing.assert_array_equal(truth_boxes(sample, truth.labels)[:2], [[5, 5, 25, 25], [5, 12, 25, 32]])
    without = sample.model_copy(update={"boxes": None})
    assert truth_boxes(without, truth.labels)[1, 1] > 12
    assert is_told_by_class(dataset, [sample])
    assert not is_told_by_class(dataset.model_copy(update={"classes": ("cell",)}), [without])


def test_classes_are_told_apart_by_name_in_whatever_order_the_method_has_them(dataset: Dataset):
    found = Found(painted((5, 5, 25, 20), (5, 50, 35, 80)), np.array([1, 0]), ("wbc", "rbc"))
    detected = count_detected(dataset, dataset.samples[0], truth_of(dataset), found)
    assert detected.objects == ClassCounts(truth=3, prediction=2, matched=2, count_error=1, images=1)
    assert detected.classes == (ClassCounts(2, 1, 1, 1, 1), ClassCounts(1, 1, 1, 0, 1))


def test_a_method_without_these_classes_is_judged_without_them(dataset: Dataset):
    found = Found(painted((5, 50, 35, 80)), np.array([0]), ("object",))
    detected = count_detected(dataset, dataset.samples[0], truth_of(dataset), found)
    assert (detected.objects.matched, detected.classes) == (1, None)


def test_the_summary_the_table_and_the_page_say_the_same(dataset: Dataset, tmp_path: Path):
    sample, truth = dataset.samples[0], truth_of(dataset)
    network = count_detected(dataset, sample, truth, Found(truth.labels[:, ::-1], truth.class_ids, ("rbc", "wbc")))
    otsu = count_detected(dataset, sample, truth, Found(truth.labels, truth.class_ids * 0, ("object",)))
    metrics = summarise_detected(dataset, [Evaluated(sample, {}, {"network": network, "otsu": otsu})])
    assert metrics["classes"]["wbc"]["f1"] == 0
    assert metrics["objects"]["otsu"]["f1"] == 1
    page = class_lines(metrics)
    assert "| network: wbc | 0.000 | 0.000 | 0.000 | 0.000 | 1 | 1 |" in page
    assert "| otsu: all objects | 1.000 | 1.000 | 1.000 | 0.000 | 3 | 3 |" in page
    assert class_lines({}) == []
    write_class_counts(tmp_path / "counts.csv", dataset.classes, [(sample, network.classes or ())])
    rows = read_rows(tmp_path / "counts.csv")
    assert [(row["ImageId"], row["class"], row["truth"], row["matched"]) for row in rows] == [
        ("a", "rbc", "2", "0"),
        ("a", "wbc", "1", "0"),
    ]


def test_no_images_have_no_classes():
    assert summarise_classes(("a", "b"), []) == {}
    assert summarise_classes(("a", "b"), [(), ()]) == {}
