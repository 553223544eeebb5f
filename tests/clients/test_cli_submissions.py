"""Commands that make and check submissions, against the fake service."""

import numpy as np

from monolayer_core.rle import decode_kaggle
from monolayer_core.submission import read_submission

TWO = np.array([[1, 0, 2], [1, 2, 2]])
NONE = np.zeros((2, 3), dtype=int)


def test_submit_writes_a_valid_submission_in_the_order_of_the_images(monolayer, good_images, tmp_path):
    out = tmp_path / "submission.csv"
    result = monolayer("submit", good_images, "-o", out)
    assert result.exit_code == 0, result.output
    assert out.read_text() == "ImageId,EncodedPixels\nfirst,1 2\nfirst,4 3\nthird,\n"
    assert "2 images answered by nuclei 1" in result.stderr
    assert "2 images, 2 objects" in result.stderr
    assert monolayer("validate", out).stdout == "valid: 2 images, 2 objects\n"


def test_submit_understands_kaggles_layout(monolayer, tmp_path, save_labels):
    for name in ("a1", "b2"):
        save_labels(tmp_path / "stage1" / name / "images" / f"{name}.npy", TWO)
        save_labels(tmp_path / "stage1" / name / "masks" / "mask.npy", TWO)
    monolayer("submit", tmp_path / "stage1", "-o", tmp_path / "s.csv")
    submission = read_submission(tmp_path / "s.csv")
    assert list(submission) == ["a1", "b2"]
    np.testing.assert_array_equal(decode_kaggle(submission["b2"], 2, 3), TWO)


def test_submit_goes_on_where_it_ended(monolayer, service, images, tmp_path, save_labels):
    out = tmp_path / "submission.csv"
    result = monolayer("submit", images, "-o", out)
    assert result.exit_code == 1
    assert "second.png: the bytes are in no image format that is read" in result.stderr
    assert "was not written" in result.stderr
    assert not out.exists()

    service.requests.clear()
    (images / "second.png").unlink()
    save_labels(images / "second.npy", NONE)
    result = monolayer("submit", images, "-o", out)
    assert result.exit_code == 0
    assert "2 of 3 images are in" in result.stderr
    assert [request.url.params["image_id"] for request in service.posts] == ["second"]
    assert list(read_submission(out)) == ["first", "second", "third"]

    service.requests.clear()
    assert monolayer("submit", images, "-o", out).exit_code == 0
    assert service.requests == []


def test_submit_does_an_image_again_that_has_changed(monolayer, service, good_images, tmp_path, save_labels):
    out = tmp_path / "submission.csv"
    monolayer("submit", good_images, "-o", out)
    save_labels(good_images / "third.npy", TWO)
    service.requests.clear()
    monolayer("submit", good_images, "-o", out)
    assert [request.url.params["image_id"] for request in service.posts] == ["third"]
    assert read_submission(out)["third"] == ["1 2", "4 3"]


def test_submit_keeps_an_older_submission_until_there_is_a_whole_new_one(monolayer, images, tmp_path):
    out = tmp_path / "submission.csv"
    out.write_text("older")
    monolayer("submit", images, "-o", out)
    assert out.read_text() == "older"
    result = monolayer("submit", images, "-o", out, "--skip-failed")
    assert result.exit_code == 1
    assert list(read_submission(out)) == ["first", "third"]


def test_submit_does_not_mix_answers_to_different_options(monolayer, good_images, tmp_path):
    out = tmp_path / "submission.csv"
    monolayer("submit", good_images, "-o", out)
    result = monolayer("submit", good_images, "-o", out, "--method", "kmeans")
    assert result.exit_code == 1
    assert "--restart" in result.stderr
    result = monolayer("submit", good_images, "-o", out, "--method", "kmeans", "--restart")
    assert result.exit_code == 0
    assert "2 images answered by kmeans" in result.stderr


def test_submit_refuses_rows_that_make_no_submission(monolayer, service, good_images, tmp_path):
    numbers = service.numbers(TWO, b"", {})
    instance = service.objects(TWO, {})["instances"][0]
    broken = numbers | {"instances": [instance, instance | {"id": 2}], "rle": {"format": "kaggle", "order": "F"}}
    service.script.append(service.reply(broken))
    result = monolayer("submit", good_images / "first.npy", "-o", tmp_path / "s.csv")
    assert result.exit_code == 1
    assert "make no valid submission" in result.stderr
    assert not (tmp_path / "s.csv").exists()


def test_validate_lists_every_problem_with_its_line(monolayer, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("ImageId,EncodedPixels\na,1 2 3\nb,5 1 1 1\n")
    result = monolayer("validate", path)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "line 2, image a: has 3 numbers: starts and lengths come in pairs",
        "line 3, image b: pair 2 (1 1) starts before the run in front of it: runs are sorted",
    ]


def test_validate_knows_names_and_sizes_from_the_images(monolayer, good_images, tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("ImageId,EncodedPixels\nfirst,6 2\nstranger,\n")
    result = monolayer("validate", path, "--images", good_images)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "line 2, image first: pair 1 (6 2) ends outside the image of 2 by 3 = 6 pixels",
        "line 3, image stranger: the image is not known",
        "image third: the image is missing",
    ]
