"""Run-length encodings against vectors, against pycocotools and against whatever may come in from outside."""

import doctest
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from monolayer_core import rle
from monolayer_core.errors import RunLengthError
from monolayer_core.rle import (
    decode_coco,
    decode_kaggle,
    encode_coco,
    encode_kaggle,
    parse_kaggle,
    validate_coco,
    validate_kaggle,
)
from monolayer_core.run_text import write_decimals
from monolayer_core.runs import Runs, find_runs, paint_runs

label_images = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4))


@st.composite
def blocky_label_images(draw):
    """Labels in blocks, so that runs get long enough for several characters a count."""
    blocks = draw(label_images)
    return np.kron(blocks, np.ones((draw(st.integers(1, 40)), draw(st.integers(1, 40))), dtype=np.int32))


def slow_kaggle(mask):
    """One object, pixel by pixel."""
    numbers, length = [], 0
    for i, is_set in enumerate([*mask.T.ravel().tolist(), False]):
        if is_set:
            length += 1
        elif length:
            numbers += [i - length + 1, length]
            length = 0
    return " ".join(map(str, numbers))


def reference_coco(mask):
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(rle).failed == 0


def test_a_run_goes_down_the_columns_and_counts_from_one():
    labels = np.array([[1, 0, 2], [1, 2, 2]])
    assert encode_kaggle(labels) == ["1 2", "4 3"]
    assert encode_coco(labels) == ["024", "33"]


@pytest.mark.parametrize(
    ("height", "width", "kaggle", "compressed"),
    [
        pytest.param(8, 6, "11 5 19 5 27 5 37 3", ":530002N4", id="four bars"),
        pytest.param(4, 5, "", "d0", id="all zeros"),
        pytest.param(4, 5, "1 20", "0d0", id="all ones"),
    ],
)
def test_published_vectors_agree_in_both_encodings(height, width, kaggle, compressed):
    labels = decode_kaggle([kaggle], height, width)
    assert encode_coco(labels, count=1) == [compressed]
    assert encode_kaggle(decode_coco([compressed], height, width), count=1) == [kaggle]


@given(blocky_label_images())
def test_every_object_is_encoded_as_the_slow_way_and_as_pycocotools_do(labels):
    masks = [labels == label for label in range(1, labels.max() + 1)]
    assert encode_kaggle(labels) == [slow_kaggle(mask) for mask in masks]
    assert encode_coco(labels) == [reference_coco(mask) for mask in masks]


@given(blocky_label_images())
def test_decoding_gives_back_what_was_encoded(labels):
    np.testing.assert_array_equal(decode_kaggle(encode_kaggle(labels), *labels.shape), labels)
    decoded = decode_coco(encode_coco(labels), *labels.shape)
    np.testing.assert_array_equal(decoded, labels)
    assert decoded.dtype == np.int32
    assert decoded.flags.c_contiguous


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 1)))
def test_what_pycocotools_wrote_is_read(mask):
    np.testing.assert_array_equal(decode_coco([reference_coco(mask)], *mask.shape), mask)


def test_counts_of_a_large_image_take_several_characters():
    labels = np.zeros((3000, 2000), dtype=np.uint16)
    labels[1000:2000, 500:1500] = 1
    assert encode_coco(labels) == [reference_coco(labels)]
    assert encode_kaggle(labels)[0].startswith("1501001 1000 1504001 1000 ")


@pytest.mark.parametrize("shape", [(2, 70_000), (70_000, 2)], ids=["wide", "high"])
def test_sides_beyond_sixteen_bits_are_encoded(shape):
    labels = np.random.default_rng(0).integers(0, 3, shape)
    labels[:, -1] = 1
    assert encode_kaggle(labels) == [slow_kaggle(labels == 1), slow_kaggle(labels == 2)]


def test_decimals_of_any_length_are_written_as_python_does():
    numbers = [0, 7, 10, 99, 100, 2**16, 2**32 - 1, 2**32, 10**14 + 1, 10**15 - 1]
    for count in range(1, len(numbers) + 1):
        written = write_decimals(np.array(numbers[:count], dtype=np.int64), np.array([1, count - 1]))
        assert written == ["0", " ".join(map(str, numbers[1:count]))]


def test_a_gap_in_the_labels_is_an_object_without_pixels():
    labels = np.array([[3, 0]], dtype=np.uint16)
    assert encode_kaggle(labels) == ["", "", "1 1"]
    assert encode_coco(labels) == ["2", "2", "011"]
    np.testing.assert_array_equal(decode_kaggle(["", "", "1 1"], 1, 2), labels)
    np.testing.assert_array_equal(decode_coco(["2", "2", "011"], 1, 2), labels)


def test_an_image_without_objects_has_no_rows():
    assert encode_kaggle(np.zeros((3, 2), dtype=np.int32)) == []
    assert encode_coco(np.zeros((3, 2), dtype=np.int32)) == []
    np.testing.assert_array_equal(decode_kaggle([], 3, 2), np.zeros((3, 2)))
    np.testing.assert_array_equal(decode_coco([], 3, 2), np.zeros((3, 2)))


def test_runs_that_touch_are_read_as_one():
    np.testing.assert_array_equal(decode_kaggle(["1 2 3 2"], 2, 3), [[1, 1, 0], [1, 1, 0]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(["1 2 5"], "has 3 numbers", id="odd count"),
        pytest.param(["5 1 1 1"], r"pair 2 \(1 1\) starts before the run in front of it", id="unsorted"),
        pytest.param(["1 3 2 1"], r"pair 2 \(2 1\) overlaps the run in front of it", id="overlap within a row"),
        pytest.param(["1 1 3 0"], r"pair 2 \(3 0\) has no length", id="zero length"),
        pytest.param(["0 3"], r"pair 1 \(0 3\) starts at 0", id="start zero"),
        pytest.param(["-1 3"], "holds '-1', no whole number", id="negative start"),
        pytest.param(["1 -3"], "holds '-3', no whole number", id="negative length"),
        pytest.param(["6 2"], r"pair 1 \(6 2\) ends outside the image of 2 by 3 = 6 pixels", id="runs over the end"),
        pytest.param(["7 1"], "outside the image", id="starts behind the end"),
        pytest.param(["1.0 2"], "holds '1.0'", id="decimal fraction"),
        pytest.param(["one two"], "holds 'one'", id="words"),
        pytest.param(["1_0 2"], "holds '1_0'", id="underscore"),
        pytest.param(["\u0661 2"], "no whole number", id="foreign digits"),
        pytest.param(["1\t2"], "no whole number", id="tab"),
        pytest.param(["1 999999999999999"], "outside the image", id="largest number that is read"),
        pytest.param(["1 1" + "0" * 400], r"holds '10000000000000000000\.\.\.'", id="giant number"),
        pytest.param(["1 1", "3 1 5"], "row 2 has 3 numbers", id="says which row"),
        pytest.param(["1 1", "", "3 1 4 x"], "row 3 holds 'x'", id="counts empty rows"),
        pytest.param(["3 1", "", "1 1 5 9"], r"row 3 pair 2 \(5 9\)", id="says which pair of which row"),
        pytest.param(["1 2", "2 2"], "objects 1 and 2 overlap at y=1, x=0", id="objects overlap"),
    ],
)
def test_malformed_kaggle_rows_are_refused_with_the_place(rows, message):
    with pytest.raises(RunLengthError, match=message):
        decode_kaggle(rows, 2, 3)


@pytest.mark.parametrize(
    ("strings", "message"),
    [
        pytest.param([""], "is empty", id="empty"),
        pytest.param(["6 "], "holds ' '", id="space"),
        pytest.param(["6p"], "holds 'p'", id="behind the alphabet"),
        pytest.param(["6é"], "holds 'é'", id="not ASCII"),
        pytest.param(["P"], "ends within a number", id="cut off"),
        pytest.param(["oooooooo0"], "holds a number of 9 characters", id="giant number"),
        pytest.param(["oooooo?"], r"count 1 \(\d+\) is more than the 6 pixels", id="more than the image"),
        pytest.param(["N"], r"count 1 \(-2\) is negative", id="negative"),
        pytest.param(["105"], r"count 2 \(0\) is zero", id="zero within"),
        pytest.param(["5"], "covers 5 pixels, the image of 2 by 3 has 6", id="too short"),
        pytest.param(["43"], "covers 7 pixels", id="too long"),
        pytest.param(["6", "5"], "row 2 covers 5 pixels", id="says which string"),
        pytest.param(["6", "o"], "row 2 ends within", id="says which string is cut off"),
        pytest.param(["6", "oooooooo0"], "row 2 holds a number", id="says which string has the giant number"),
        pytest.param(["6", ""], "row 2 is empty", id="says which string is empty"),
        pytest.param(["024", "114"], "objects 1 and 2 overlap at y=1, x=0", id="objects overlap"),
    ],
)
def test_malformed_coco_strings_are_refused_with_the_place(strings, message):
    with pytest.raises(RunLengthError, match=message):
        decode_coco(strings, 2, 3)


@given(st.text(alphabet="0123456789 -+.ex\u0663", max_size=30))
def test_any_text_is_either_read_or_refused_as_kaggle_row(text):
    try:
        labels = decode_kaggle([text], 5, 7)
    except RunLengthError:
        return
    assert encode_kaggle(decode_kaggle(encode_kaggle(labels, count=1), 5, 7), count=1) == encode_kaggle(labels, count=1)


@settings(max_examples=300)
@given(st.text(alphabet=st.characters(min_codepoint=46, max_codepoint=113), max_size=12))
def test_any_text_is_either_read_or_refused_as_coco_string(text):
    try:
        labels = decode_coco([text], 5, 7)
    except RunLengthError:
        return
    mask = coco.decode({"size": [5, 7], "counts": text.encode()})
    np.testing.assert_array_equal(labels, mask)


def test_validation_accepts_good_rows_and_refuses_bad_ones():
    validate_kaggle("1 2 4 1", 2, 3)
    validate_kaggle("", 2, 3)
    validate_coco("d0", 4, 5)
    with pytest.raises(RunLengthError, match="pairs"):
        validate_kaggle("1", 2, 3)
    with pytest.raises(RunLengthError, match="covers"):
        validate_coco("d0", 4, 6)


def test_giant_numbers_cost_no_memory():
    tracemalloc.start()
    for row in ["1 999999999999999", "1 " + "9" * 10_000]:
        with pytest.raises(RunLengthError):
            decode_kaggle([row], 100, 100)
    for string in ["oooooo?", "o" * 10_000 + "0"]:
        with pytest.raises(RunLengthError):
            decode_coco([string], 100, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5)])
def test_an_image_has_at_least_one_pixel(height, width):
    with pytest.raises(RunLengthError, match="at least one pixel"):
        decode_kaggle([], height, width)
    with pytest.raises(RunLengthError, match="at least one pixel"):
        decode_coco([], height, width)


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        pytest.param(np.zeros((2, 2, 1), dtype=np.int32), None, "3 axes", id="three axes"),
        pytest.param(np.zeros((2, 2)), None, "float64", id="floats"),
        pytest.param(np.array([[-1, 0]]), None, "negative", id="negative label"),
        pytest.param(np.array([[1, 2]]), 1, "relabel", id="more labels than said"),
        pytest.param(np.array([[1_000_000_000, 0]]), None, "relabel", id="a gap that would cost memory"),
    ],
)
def test_what_is_no_label_image_is_not_encoded(labels, count, message):
    with pytest.raises(ValueError, match=message):
        encode_kaggle(labels, count)


def test_runs_know_the_area_of_their_objects():
    runs = find_runs(np.array([[1, 0, 3], [1, 3, 3]]))
    assert runs.areas_px.tolist() == [2, 0, 3]
    assert runs.runs_per_object.tolist() == [1, 0, 1]
    assert parse_kaggle(["1 2", "", "4 3"], 2, 3).areas_px.tolist() == [2, 0, 3]


def test_runs_outside_their_image_are_not_painted():
    with pytest.raises(RunLengthError, match="leaves the image"):
        paint_runs(Runs(np.array([0]), np.array([5]), np.array([2]), 1, 2, 3))


def test_an_array_without_pixels_has_no_runs():
    assert encode_kaggle(np.zeros((0, 4), dtype=np.int32)) == []


@given(blocky_label_images(), st.integers(1, 5))
def test_objects_are_encoded_alike_in_parts(labels, at_once):
    expected = encode_kaggle(labels), encode_coco(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rle, "_RUNS_AT_ONCE", at_once)
        assert (encode_kaggle(labels), encode_coco(labels)) == expected
