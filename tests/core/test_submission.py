"""Submission and solution tables: round trips, complaints with their lines, and scores by hand."""

import csv
import io
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.errors import SubmissionError
from monolayer_core.kaggle_table import read_rows
from monolayer_core.metrics import kaggle_score
from monolayer_core.rle import encode_kaggle
from monolayer_core.runs import find_runs, paint_runs
from monolayer_core.submission import (
    HEADER,
    read_sizes,
    read_solution,
    read_submission,
    score_submission,
    validate_submission,
    write_submission,
)

GOOD = "ImageId,EncodedPixels\na,1 2 5 1\na,3 1\nempty,\n"
SIZES = {"a": (2, 3), "empty": (4, 4)}
SOLUTION = """ImageId,EncodedPixels,Height,Width,Usage
a,1 2,2,3,Public
a,4 3,2,3,Public
b,1 16,4,4,Private
ignored,not even runs,0,0,Ignored
half ignored,1 1,2,2,Public
half ignored,2 1,2,2,Ignored
"""

table_texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


def written(images):
    file = io.StringIO(newline="")
    write_submission(file, images)
    return file.getvalue()


def read_submission_rows(text):
    return read_rows(io.StringIO(text, newline=""), HEADER)


def problems(text, sizes=None):
    return [str(problem) for problem in validate_submission(io.StringIO(text, newline=""), sizes).problems]


def test_every_object_has_a_row_and_an_empty_image_an_empty_one():
    assert written({"a": ["1 2 5 1", "3 1"], "empty": []}) == GOOD


def test_the_check_counts_images_and_objects():
    check = validate_submission(io.StringIO(GOOD, newline=""))
    assert (check.problems, check.image_count, check.object_count) == ((), 2, 2)


def test_missing_images_are_listed_in_the_order_of_their_sizes():
    assert problems(GOOD, {"z": (1, 1), **SIZES, "b": (1, 1)}) == [
        "image z: the image is missing",
        "image b: the image is missing",
    ]


def test_what_the_check_raises_ends_it():
    def stop():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        validate_submission(io.StringIO(GOOD, newline=""), check=stop)


def test_bytes_that_are_no_text_are_a_problem_of_any_file():
    file = io.TextIOWrapper(io.BytesIO(GOOD.encode() + b"\xff,\n"), encoding="utf-8-sig", newline="")
    assert str(validate_submission(file).problems[0]).startswith("the file is no UTF-8 text")


def test_tables_with_long_fields_can_be_read_side_by_side():
    row = f"a,{' '.join(f'{2 * i + 1} 1' for i in range(40_000))}\n"
    limit = csv.field_size_limit()
    first = read_submission_rows(f"ImageId,EncodedPixels\n{row}{row}")
    second = read_submission_rows(f"ImageId,EncodedPixels\n{row}")
    next(first)
    assert len(list(second)) == 1
    assert len(list(first)) == 1
    assert csv.field_size_limit() == limit


def test_sizes_are_read_from_any_table_that_has_them():
    assert read_sizes(io.StringIO(SOLUTION.replace("0,0,Ignored", "7,5,Ignored"), newline="")) == {
        "a": (2, 3),
        "b": (4, 4),
        "ignored": (7, 5),
        "half ignored": (2, 2),
    }


@pytest.mark.parametrize("rows", ["a,0,3", "a,2,x", "a,2,3\na,3,2", "a,2,", "a,1e3,2"])
def test_sizes_that_are_none_are_refused_with_their_line(rows):
    with pytest.raises(SubmissionError, match=f"line {rows.count(chr(10)) + 2}, image a: Height and Width"):
        read_sizes(io.StringIO(f"ImageId,Height,Width\n{rows}\n", newline=""))


def test_labels_without_pixels_get_no_row():
    assert written({"a": ["", "1 2 5 1", "3 1"], "empty": ["", ""]}) == GOOD


def test_an_image_needs_a_name():
    with pytest.raises(SubmissionError, match="name"):
        written({"": []})


def test_a_file_is_written_and_read_back(tmp_path):
    path = tmp_path / "submission.csv"
    images = {'with, comma and "quotes"': ["1 2"], "naïve": [], "a": ["1 2 5 1", "3 1"]}
    write_submission(path, images)
    assert b"\r" not in path.read_bytes()
    assert read_submission(path) == images
    assert not validate_submission(path).problems


@given(st.dictionaries(table_texts.filter(lambda name: name == name.strip()), st.lists(st.just("1 2"), max_size=3)))
def test_what_was_written_is_read(images):
    assert read_submission(io.StringIO(written(images), newline="")) == images


def test_spreadsheets_mark_and_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b"\r\n")
    assert read_submission(path) == {"a": ["1 2 5 1", "3 1"], "empty": []}


def test_rows_longer_than_the_csv_modules_limit_are_read():
    row = " ".join(f"{start} 1" for start in range(1, 60_000, 2))
    limit = csv.field_size_limit()
    assert len(row) > limit
    assert read_submission(io.StringIO(f"ImageId,EncodedPixels\na,{row}\n")) == {"a": [row]}
    assert csv.field_size_limit() == limit


def test_a_good_table_has_no_problems():
    assert problems(GOOD) == []
    assert problems(GOOD, SIZES) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "line 1: the header must be ImageId,EncodedPixels", id="empty file"),
        pytest.param("a,1 2\n", "line 1: the header must be ImageId,EncodedPixels", id="no header"),
        pytest.param("EncodedPixels,ImageId\n", "line 1: the header must be ImageId,EncodedPixels", id="other order"),
        pytest.param("ImageId,EncodedPixels\na\n", "line 2: has 1 fields, the header 2", id="field missing"),
        pytest.param("ImageId,EncodedPixels\na,1 2,3\n", "line 2: has 3 fields, the header 2", id="field too many"),
        pytest.param("ImageId,EncodedPixels\n,1 2\n", "line 2: has no ImageId", id="no image"),
        pytest.param('ImageId,EncodedPixels\na,"1 2\n', "line 2: is no CSV: unexpected end of data", id="open quote"),
        pytest.param(
            "ImageId,EncodedPixels\na,1 2\n\nb,1\n",
            "line 4, image b: has 1 numbers: starts and lengths come in pairs",
            id="odd count, behind a blank line",
        ),
        pytest.param(
            'ImageId,EncodedPixels\n"a\nb",1 2\nc,5 1 1 1\n',
            "line 4, image c: pair 2 (1 1) starts before the run in front of it: runs are sorted",
            id="unsorted, behind a name of two lines",
        ),
        pytest.param(
            "ImageId,EncodedPixels\na,1 4\nb,1 1\na,3 4\n",
            "line 4, image a: overlaps line 2 at pixel 3",
            id="objects overlap",
        ),
        pytest.param(
            "ImageId,EncodedPixels\na,1 4\na,\n",
            "line 3, image a: an empty row says that the image has no objects, but it has other rows",
            id="empty row beside others",
        ),
    ],
)
def test_every_problem_names_its_line(text, expected):
    assert problems(text) == [expected]
    if not expected.endswith(("other rows", "pairs", "sorted", "pixel 3")):
        with pytest.raises(SubmissionError) as error:
            read_submission(io.StringIO(text, newline=""))
        assert str(error.value) == expected


def test_all_problems_are_listed_in_the_order_of_the_lines():
    text = "ImageId,EncodedPixels\na,7 1\nstranger,1 2\na,1 x\nbroken\n"
    assert problems(text, SIZES) == [
        "line 2, image a: pair 1 (7 1) ends outside the image of 2 by 3 = 6 pixels",
        "line 3, image stranger: the image is not known",
        "line 4, image a: holds 'x', no whole number of at most 15 digits",
        "line 5: has 1 fields, the header 2",
        "image empty: the image is missing",
    ]


def test_a_file_that_is_no_text_is_a_problem(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(b"\x89PNG\r\n\xff\xfe")
    assert next(str(problem) for problem in validate_submission(path).problems).startswith("the file is no UTF-8 text")
    with pytest.raises(SubmissionError, match="UTF-8"):
        read_submission(path)


def test_a_solution_leaves_out_ignored_images_whole():
    solution = read_solution(io.StringIO(SOLUTION))
    assert list(solution) == ["a", "b"]
    np.testing.assert_array_equal(paint_runs(solution["a"]), [[1, 0, 2], [1, 2, 2]])
    np.testing.assert_array_equal(paint_runs(solution["b"]), np.ones((4, 4)))


def test_columns_of_a_solution_may_stand_in_any_order():
    solution = read_solution(io.StringIO("Usage,Width,Height,EncodedPixels,ImageId,More\nPublic,3,2,4 3,a,!\n"))
    np.testing.assert_array_equal(paint_runs(solution["a"]), [[0, 0, 1], [0, 1, 1]])


def test_a_shared_pixel_of_the_truth_belongs_to_the_object_listed_first():
    text = "ImageId,EncodedPixels,Height,Width,Usage\na,2 2,1,4,Public\na,1 4,1,4,Public\n"
    np.testing.assert_array_equal(paint_runs(read_solution(io.StringIO(text))["a"]), [[2, 1, 1, 2]])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param("a,1 2,two,3,Public", "line 2, image a: Height and Width", id="height in words"),
        pytest.param("a,1 2,0,3,Public", "Height and Width", id="height zero"),
        pytest.param("a,1 2,2,3,Public\na,4 1,3,2,Public", "not the same in all rows", id="sizes differ"),
        pytest.param("a,1 2 3,2,3,Public", "line 2, image a: has 3 numbers", id="malformed runs"),
        pytest.param("a,1 2,2,3", "line 2: has 4 fields", id="field missing"),
    ],
)
def test_malformed_solutions_are_refused(row, message):
    with pytest.raises(SubmissionError, match=message):
        read_solution(io.StringIO(f"ImageId,EncodedPixels,Height,Width,Usage\n{row}\n"))


def test_a_solution_without_its_columns_is_refused():
    with pytest.raises(SubmissionError, match="the header lacks Height, Width, Usage"):
        read_solution(io.StringIO(GOOD))


def test_the_score_is_the_mean_over_the_images_of_the_truth():
    truth = read_solution(io.StringIO(SOLUTION))
    score = score_submission({"a": ["1 2"], "b": ["1 11"], "ignored": ["1 1"]}, truth)
    assert score.images["a"].kaggle_score == 0.5
    assert score.images["b"].kaggle_score == 0.4  # 11 of 16 pixels: IoU 0.6875
    assert score.kaggle_score == pytest.approx(0.45)
    assert score.missing == ()
    assert score.unknown == ("ignored",)


def test_a_missing_image_scores_as_if_nothing_had_been_found():
    truth = read_solution(io.StringIO(SOLUTION))
    score = score_submission({"a": ["1 2", "4 3"]}, truth)
    assert score.missing == ("b",)
    assert score.kaggle_score == 0.5


def test_overlapping_or_malformed_rows_are_not_scored():
    truth = read_solution(io.StringIO(SOLUTION))
    with pytest.raises(SubmissionError, match="image a: objects 1 and 2 overlap at y=1, x=0"):
        score_submission({"a": ["1 2", "2 2"]}, truth)
    with pytest.raises(SubmissionError, match="image b: row 2 has 1 numbers"):
        score_submission({"a": [], "b": ["1 2", "3"]}, truth)
    with pytest.raises(SubmissionError, match="no image"):
        score_submission({}, {})


def test_scores_of_runs_are_scores_of_label_images():
    rng = np.random.default_rng(0)
    truth = {str(i): np.kron(rng.integers(0, 9, (8, 8)), np.ones((5, 4), int)) for i in range(20)}
    prediction = {name: np.roll(labels, rng.integers(0, 3), axis=1) for name, labels in truth.items()}
    submission = {name: [row for row in encode_kaggle(labels) if row] for name, labels in prediction.items()}
    score = score_submission(submission, {name: find_runs(labels) for name, labels in truth.items()})
    for name, scores in score.images.items():
        assert scores.kaggle_score == kaggle_score(truth[name], prediction[name])
        assert scores.confluency_error == 100 * (np.mean(prediction[name] > 0) - np.mean(truth[name] > 0))


def test_three_hundred_images_are_scored_in_a_moment():
    labels = np.kron(np.arange(1, 65).reshape(8, 8), np.pad(np.ones((20, 20), int), 6))
    rows = encode_kaggle(labels)
    truth = {str(i): find_runs(labels) for i in range(300)}
    started = time.perf_counter()
    assert score_submission(dict.fromkeys(truth, rows), truth).kaggle_score == 1.0
    assert time.perf_counter() - started < 6  # about 0.6 s on one idle core
