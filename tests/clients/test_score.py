"""Scoring from the command line: solution tables, masks and label images."""

import sys
import zipfile

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import monolayer_core
from monolayer_client.cli.app import app
from monolayer_client.errors import InputError
from monolayer_client.truth import choose_images, open_truth, read_split
from monolayer_core.rle import encode_kaggle
from monolayer_core.runs import paint_runs
from monolayer_core.submission import write_submission

TWO = np.array([[1, 0, 2], [1, 2, 2]], dtype=np.uint16)
SOLUTION = """ImageId,EncodedPixels,Height,Width,Usage
a,1 2,2,3,Public
a,4 3,2,3,Public
b,1 1,2,3,Public
c,9 9,0,0,Ignored
"""
SUBMISSION = "ImageId,EncodedPixels\na,1 2\na,4 3\nb,\n"
SPLIT = "ImageId,group,modality,split\na,g1,fluorescence,validation\nb,g2,histology,train\n"


@pytest.fixture
def score():
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    return lambda *arguments: runner.invoke(app, ["score", *(str(argument) for argument in arguments)])


@pytest.fixture
def files(tmp_path):
    (tmp_path / "solution.csv").write_text(SOLUTION)
    (tmp_path / "submission.csv").write_text(SUBMISSION)
    (tmp_path / "split.csv").write_text(SPLIT)
    return tmp_path


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def masks(tmp_path):
    """The true objects of a and b in Kaggle's layout."""
    for label in (1, 2):
        write(tmp_path / "train" / "a" / "masks" / f"{label}.png", np.where(label == TWO, 255, 0).astype(np.uint8))
    one = np.zeros((2, 3), dtype=np.uint8)
    one[0, 0] = 255
    write(tmp_path / "train" / "b" / "masks" / "1.png", cv2.cvtColor(one, cv2.COLOR_GRAY2BGRA))
    write(tmp_path / "train" / "b" / "images" / "b.png", one)
    return tmp_path / "train"


def test_the_mean_over_the_images_is_printed(score, files):
    result = score(files / "submission.csv", "--truth", files / "solution.csv")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "Kaggle score 0.5000, mean over 2 images"


def test_one_side_of_a_split_can_be_scored(score, files, read_json):
    arguments = ["--truth", files / "solution.csv", "--split", files / "split.csv", "--json", files / "scores.json"]
    result = score(files / "submission.csv", *arguments, "--only", "validation")
    assert "Kaggle score 1.0000, mean over 1 images" in result.stdout
    scores = read_json(files / "scores.json")
    assert list(scores["images"]) == ["a"]
    assert list(scores["by_modality"]) == ["fluorescence"]
    assert scores["overall"]["kaggle_score"]["mean"] == 1.0
    whole = score(files / "submission.csv", *arguments)
    assert "Kaggle score 0.5000" in whole.stdout
    assert read_json(files / "scores.json")["overall"]["groups"] == 2


def test_missing_and_unknown_images_are_named(score, files):
    (files / "submission.csv").write_text("ImageId,EncodedPixels\na,1 2\na,4 3\nz,\n")
    result = score(files / "submission.csv", "--truth", files / "solution.csv")
    assert "1 images are missing, such as b" in result.stderr
    assert "1 images are not in the truth, such as z" in result.stderr
    assert "Kaggle score 0.5000" in result.stdout


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_masks_are_a_truth(score, files, masks, kind):
    truth = masks
    if kind == "zip":
        truth = files / "train.zip"
        with zipfile.ZipFile(truth, "w") as archive:
            for path in masks.rglob("*.png"):
                archive.write(path, path.relative_to(masks))
    result = score(files / "submission.csv", "--truth", truth)
    assert "Kaggle score 0.5000, mean over 2 images" in result.stdout, result.output
    # The smaller object comes last, so that it is painted over the larger one.
    np.testing.assert_array_equal(paint_runs(open_truth(truth).read("a")), [[2, 0, 1], [2, 1, 1]])


@pytest.mark.parametrize("folder", ["labels", "data/labels"], ids=["the folder itself", "a data set"])
def test_label_images_are_a_truth(score, files, folder):
    write(files / folder / "a.png", 300 * TWO)
    write(files / folder / "b.tif", (TWO == 1).astype(np.uint16) * [[1], [0]])
    if folder == "data/labels":
        write(files / "data" / "images" / "a.png", TWO)
    result = score(files / "submission.csv", "--truth", files / folder.split("/")[0])
    assert "Kaggle score 0.5000, mean over 2 images" in result.stdout, result.output


def test_a_malformed_submission_is_explained(score, files):
    (files / "submission.csv").write_text("ImageId,EncodedPixels\na,1 2 3\n")
    result = score(files / "submission.csv", "--truth", files / "solution.csv")
    assert result.exit_code == 1
    assert result.stderr == "error: image a: has 3 numbers: starts and lengths come in pairs\n"


def test_only_needs_a_split(score, files):
    result = score(files / "submission.csv", "--truth", files / "solution.csv", "--only", "validation")
    assert result.exit_code == 2
    assert "--only needs --split" in result.stderr


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param([], "neither masks nor label images", id="nothing there"),
        pytest.param(["a.png", "sub.txt", "a.tif"], "would both be called a", id="two of one name"),
    ],
)
def test_what_is_no_truth_is_refused(tmp_path, names, message):
    folder = tmp_path / "truth"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    with pytest.raises(InputError, match=message):
        open_truth(folder)


def test_a_damaged_mask_is_named(masks):
    path = masks / "a" / "masks" / "1.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"a.masks.1\.png"):
        open_truth(masks).read("a")


def test_masks_of_different_sizes_are_refused(masks):
    write(masks / "a" / "masks" / "3.png", np.full((4, 4), 255, dtype=np.uint8))
    with pytest.raises(InputError, match="measures"):
        open_truth(masks).read("a")


def test_a_split_must_name_sides_and_know_its_images(files):
    split = read_split(files / "split.csv")
    truth = open_truth(files / "solution.csv")
    assert choose_images(truth, split, "train") == ["b"]
    assert choose_images(truth, None, None) == ("a", "b")
    with pytest.raises(InputError, match="no images on side 'test'; it has train, validation"):
        choose_images(truth, split, "test")
    (files / "split.csv").write_text("ImageId,split\nz,train\n")
    with pytest.raises(InputError, match="the truth lacks 1 images of the split, such as z"):
        choose_images(truth, read_split(files / "split.csv"), "train")
    (files / "split.csv").write_text("ImageId,side\nz,train\n")
    with pytest.raises(InputError, match="needs the columns"):
        read_split(files / "split.csv")


def test_without_its_extra_score_says_what_to_install(masks, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    for name in [name for name in sys.modules if name.startswith("monolayer_core.image_")]:
        monkeypatch.delitem(sys.modules, name)
        module = name.partition(".")[2]
        if "." not in module:  # what is imported now is forgotten there, too
            monkeypatch.setattr(monolayer_core, module, getattr(monolayer_core, module))
    with pytest.raises(InputError) as error:
        open_truth(masks).read("a")
    assert str(error.value) == "reading image files needs more libraries: pip install 'monolayer-client[score]'"


def test_the_truth_scored_against_itself_is_perfect(score, dsb2018, tmp_path):
    """A few real images, as masks in the archive and as a submission made of them."""
    truth = open_truth(dsb2018 / "stage1_train.zip")
    chosen = truth.image_ids[:5]
    rows = {image_id: encode_kaggle(paint_runs(truth.read(image_id))) for image_id in chosen}
    write_submission(tmp_path / "submission.csv", rows)
    (tmp_path / "split.csv").write_text("ImageId,split\n" + "".join(f"{image_id},validation\n" for image_id in chosen))
    arguments = ["--truth", dsb2018 / "stage1_train.zip", "--split", tmp_path / "split.csv", "--only", "validation"]
    result = score(tmp_path / "submission.csv", *arguments)
    assert "Kaggle score 1.0000, mean over 5 images" in result.stdout, result.output
