"""Run-length encodings of label images: Kaggle's pairs of numbers and COCO's compressed counts.

Both go through the columns of the image, top to bottom and then left to right, always at the image's original size.

Kaggle
    ``start length start length ...``, 1-based, ascending, one row of text per object. The empty string is an object
    without pixels.
COCO
    The lengths of zeros and ones in turn, beginning with zeros, compressed to a string as pycocotools writes it. An
    object without pixels is a single count of zeros.

Encoding and decoding treat all objects of an image together. What is read is never trusted: every malformed text is
refused with the row and the place, and a number however large costs no memory.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.errors import RunLengthError
from monolayer_core.run_text import read_decimals, read_five_bits, row_name, write_decimals, write_five_bits
from monolayer_core.runs import Int64Array, Runs, find_runs, paint_runs

_RUNS_AT_ONCE = 1 << 18


def encode_kaggle(labels: npt.NDArray[np.integer], count: int | None = None) -> list[str]:
    """Encode every object of a label image as a Kaggle run-length row.

    Parameters
    ----------
    labels : integer (y, x)
        0 for background, ``i + 1`` for object ``i``.
    count : int, optional
        Number of rows; the largest label where not given.

    Returns
    -------
    list of str
        Row ``i`` is object ``i + 1``; a label without pixels gives an empty row.

    Raises
    ------
    ValueError
        `labels` is not a label image, see `runs.find_runs`.

    Examples
    --------
    >>> encode_kaggle(np.array([[1, 0, 2], [1, 2, 2]]))
    ['1 2', '4 3']
    """
    return encode_kaggle_runs(find_runs(labels, count))


def encode_kaggle_runs(runs: Runs, *, check: Callable[[], None] = lambda: None) -> list[str]:
    """Encode objects whose column-major runs are known; see `encode_kaggle`.

    `check` is called again and again; what it raises ends the work.
    """
    rows: list[str] = []
    for part in _in_parts(runs):
        check()
        numbers = np.column_stack([part.starts + 1, part.lengths]).ravel()
        rows += write_decimals(numbers, 2 * part.runs_per_object)
    return rows


def decode_kaggle(rows: Sequence[str], height: int, width: int) -> LabelImage:
    """Decode Kaggle run-length rows into a label image; row ``i`` becomes label ``i + 1``.

    Raises
    ------
    RunLengthError
        A row is malformed (see `parse_kaggle`) or two objects overlap.

    Examples
    --------
    >>> decode_kaggle(["1 2", "4 3"], height=2, width=3)
    array([[1, 0, 2],
           [1, 2, 2]], dtype=int32)
    """
    return paint_runs(parse_kaggle(rows, height, width))


def validate_kaggle(row: str, height: int, width: int) -> None:
    """Check one Kaggle run-length row against the size of its image.

    Raises
    ------
    RunLengthError
        The row is malformed, see `parse_kaggle`.
    """
    parse_kaggle([row], height, width)


def parse_kaggle(rows: Sequence[str], height: int, width: int) -> Runs:
    """Read Kaggle run-length rows without painting them; different rows may still overlap.

    Runs that touch (one begins right behind the other) are accepted: some encoders begin anew in each column.

    Raises
    ------
    RunLengthError
        A row has an odd count of numbers, something else than whole numbers, a start or length below 1, runs out of
        order or overlapping, or a run outside the image. The message names the row, where there are several, and the
        pair.
    """
    size = _image_size(height, width)
    numbers, per_row = read_decimals(rows)
    odd = np.flatnonzero(per_row % 2)
    if odd.size:
        i = int(odd[0])
        raise RunLengthError(f"{row_name(i, rows)}has {per_row[i]} numbers: starts and lengths come in pairs")

    objects = np.repeat(np.arange(len(rows)), per_row // 2)
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    is_inner = np.diff(objects, prepend=-1) == 0  # has a run of the same object in front of it
    start_before = np.concatenate([starts[:1], starts[:-1]])
    end_before = np.concatenate([starts[:1], (starts + lengths)[:-1]])
    for is_wrong, what in (
        (starts < 0, "starts at 0: the first pixel is 1"),
        (lengths < 1, "has no length: a run holds at least one pixel"),
        (starts + lengths > size, f"ends outside the image of {height} by {width} = {size} pixels"),
        (is_inner & (starts < start_before), "starts before the run in front of it: runs are sorted"),
        (is_inner & (starts < end_before), "overlaps the run in front of it"),
    ):
        wrong = np.flatnonzero(is_wrong)
        if wrong.size:
            i = int(wrong[0])
            row = int(objects[i])
            pair = i - int(np.searchsorted(objects, row)) + 1
            raise RunLengthError(f"{row_name(row, rows)}pair {pair} ({starts[i] + 1} {lengths[i]}) {what}")
    return Runs(objects, starts, lengths, len(rows), height, width)


def encode_coco(labels: npt.NDArray[np.integer], count: int | None = None) -> list[str]:
    """Encode every object of a label image as a COCO compressed counts string; `size` is ``[height, width]``.

    The strings are those of ``pycocotools.mask.encode``, character by character.

    Parameters
    ----------
    labels : integer (y, x)
        0 for background, ``i + 1`` for object ``i``.
    count : int, optional
        Number of strings; the largest label where not given.

    Returns
    -------
    list of str
        String ``i`` is object ``i + 1``; a label without pixels gives a single count of zeros.

    Raises
    ------
    ValueError
        `labels` is not a label image, see `runs.find_runs`.

    Examples
    --------
    >>> encode_coco(np.ones((4, 5), dtype=np.int32)), encode_coco(np.zeros((4, 5), dtype=np.int32), count=1)
    (['0d0'], ['d0'])
    """
    return encode_coco_runs(find_runs(labels, count))


def encode_coco_runs(runs: Runs, *, check: Callable[[], None] = lambda: None) -> list[str]:
    """Encode objects whose column-major runs are known; see `encode_coco`.

    `check` is called again and again; what it raises ends the work.
    """
    strings: list[str] = []
    for part in _in_parts(runs):
        check()
        strings += write_five_bits(*_counts_of(part))
    return strings


def decode_coco(strings: Sequence[str], height: int, width: int) -> LabelImage:
    """Decode COCO compressed counts into a label image; string ``i`` becomes label ``i + 1``.

    Raises
    ------
    RunLengthError
        A string is malformed (see `parse_coco`) or two objects overlap.

    Examples
    --------
    >>> decode_coco(["04"], height=2, width=2)
    array([[1, 1],
           [1, 1]], dtype=int32)
    """
    return paint_runs(parse_coco(strings, height, width))


def validate_coco(string: str, height: int, width: int) -> None:
    """Check one COCO compressed counts string against the size of its image.

    Raises
    ------
    RunLengthError
        The string is malformed, see `parse_coco`.
    """
    parse_coco([string], height, width)


def parse_coco(strings: Sequence[str], height: int, width: int) -> Runs:
    """Read COCO compressed counts without painting them; different objects may still overlap.

    Raises
    ------
    RunLengthError
        A string holds a foreign character, ends within a number, holds a number of more than 35 bits, a negative count,
        a count of zero anywhere but first, or its counts do not add up to ``height * width``.
    """
    size = _image_size(height, width)
    counts, per_string = read_five_bits(strings)
    objects = np.repeat(np.arange(len(strings)), per_string)
    position = np.arange(counts.size) - (np.cumsum(per_string) - per_string)[objects]
    for is_wrong, what in (
        (counts < 0, "is negative"),
        ((counts == 0) & (position > 0), "is zero: only the first may be"),
        (counts > size, f"is more than the {size} pixels of the image"),
    ):
        wrong = np.flatnonzero(is_wrong)
        if wrong.size:
            i = int(wrong[0])
            row = row_name(int(objects[i]), strings)
            raise RunLengthError(f"{row}count {position[i] + 1} ({counts[i]}) {what}")
    sums = np.bincount(objects, weights=counts, minlength=len(strings))
    wrong = np.flatnonzero(sums != size)
    if wrong.size:
        i = int(wrong[0])
        row = row_name(i, strings)
        raise RunLengthError(f"{row}covers {sums[i]:.0f} pixels, the image of {height} by {width} has {size}")

    is_run = position % 2 == 1
    objects, lengths = objects[is_run], counts[is_run]
    # Every string covers the image once, so the running sum over all of them tells the place within each.
    starts = np.cumsum(counts)[is_run] - lengths - objects * size
    return Runs(objects, starts, lengths, len(strings), height, width)


def _in_parts(runs: Runs) -> Iterator[Runs]:
    """Cut the objects into groups of some `_RUNS_AT_ONCE` runs: text is worked on in arrays of many bytes a run."""
    ends = np.cumsum(runs.runs_per_object)
    first, begin = 0, 0
    while first < runs.count:
        last = max(first + 1, int(np.searchsorted(ends, begin + _RUNS_AT_ONCE, side="right")))
        end = int(ends[last - 1])
        part = slice(begin, end)
        yield Runs(
            runs.objects[part] - first, runs.starts[part], runs.lengths[part], last - first, runs.height, runs.width
        )
        first, begin = last, end


def _counts_of(runs: Runs) -> tuple[Int64Array, Int64Array]:
    """Lengths of zeros and ones in turn for all objects, one after the other, and how many belong to each object."""
    size = runs.height * runs.width
    is_first = np.diff(runs.objects, prepend=-1) != 0
    is_last = np.diff(runs.objects, append=runs.count) != 0
    before = np.where(is_first, 0, np.concatenate([[0], runs.ends[:-1]]))
    covered = np.zeros(runs.count, dtype=np.int64)
    covered[runs.objects[is_last]] = runs.ends[is_last]
    has_tail = covered < size
    per_object = 2 * runs.runs_per_object + has_tail

    counts = np.empty(int(per_object.sum()), dtype=np.int64)
    tails = has_tail.astype(np.int64)
    tails_before = (np.cumsum(tails) - tails)[runs.objects]
    place = 2 * np.arange(runs.starts.size) + tails_before
    counts[place] = runs.starts - before
    counts[place + 1] = runs.lengths
    counts[(np.cumsum(per_object) - 1)[has_tail]] = (size - covered)[has_tail]
    return counts, per_object


def _image_size(height: int, width: int) -> int:
    if height < 1 or width < 1:
        raise RunLengthError(f"an image has at least one pixel, not {height} by {width}")
    return height * width
