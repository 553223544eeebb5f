"""What a method finds is counted by class, against annotated boxes where there are some."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from monolayer_core.class_counts import ClassCounts
from monolayer_core.model_card import Thresholds, read_card, write_card
from monolayer_trainer.card import draft_card
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.detection import (
    Found,
    count_detected,
    is_told_by_class,
    summarise_classes,
    truth_boxes,
    write_class_counts,
)
from monolayer_trainer.evaluate import evaluate, summarise_detected
from monolayer_trainer.methods import Evaluated
from monolayer_trainer.prepare import prepare
from monolayer_trainer.report import class_lines
from monolayer_trainer.run_folder import RunFolder
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
    metrics = summarise_detected(dataset, [Evaluated(sample, {}, {"network": network, "otsu": otsu}, {})])
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


def test_evaluate_writes_scores_by_class_into_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A network that takes bright for rbc and half bright for wbc, on images of which it misses one white cell."""
    source, run = tmp_path / "source", tmp_path / "run"
    source.mkdir()
    rows = ["image,xmin,ymin,xmax,ymax,label"]
    for name in "ab":
        image = np.zeros((64, 96, 3), np.uint8)
        image[10:30, 10:30] = 255
        image[10:40, 50:80] = 128
        cv2.imwrite(str(source / f"{name}.png"), image)
        rows += [f"{name}.png,10,10,30,30,rbc", f"{name}.png,50,10,80,40,wbc", f"{name}.png,5,45,25,63,wbc"]
    (source / "annotations.csv").write_text("\n".join(rows) + "\n")
    dataset = prepare(source, tmp_path / "set", boxes="ellipse", validation_fraction=0.5)
    folder = RunFolder(run)
    config = TrainConfig(name="two", distance=False, depth=2, crop_side=64)
    folder.begin(config)
    card = draft_card(config, dataset, dataset.subset("train"), thresholds=Thresholds(foreground=0.5, seed=0.5))
    write_card(card, run)

    def predict(tiles: np.ndarray) -> np.ndarray:
        grey = tiles[..., 0]
        maps = [grey > 200, (grey > 60) & (grey < 200), np.zeros_like(grey)]
        return np.stack([np.asarray(plane, np.uint8) * 255 for plane in maps], axis=-1)

    monkeypatch.setattr("monolayer_trainer.evaluate.load_network", lambda folder: (card, predict))
    metrics = evaluate(run, dataset.folder)
    assert (metrics["classes"]["rbc"]["f1"], metrics["classes"]["rbc"]["count_error_per_image"]) == (1, 0)
    assert metrics["classes"]["wbc"]["recall"] == 0.5
    assert metrics["classes"]["wbc"]["count_error_per_image"] == 1
    assert metrics["objects"]["network"]["f1"] == pytest.approx(0.8)
    assert set(metrics["objects"]) == {"network", "kmeans", "otsu"}
    assert read_card(run).metrics["validation"]["f1_wbc"] == pytest.approx(0.6667)
    assert "| network: wbc | 0.667 | 1.000 | 0.500 | 1.000 | 2 | 1 |" in folder.report.read_text()
    assert [row["matched"] for row in read_rows(folder.class_counts)] == ["1", "1"]
