"""Kaggle submission and solution tables: written, read, checked and scored.

A submission has the header ``ImageId,EncodedPixels`` and one row per object; an image without objects keeps one row
with an empty second field. A solution has ``Height``, ``Width`` and ``Usage`` besides; an image of which any row says
``Ignored`` is left out whole. Tables are scored run by run, without painting an image.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from monolayer_core.errors import RunLengthError, SubmissionError
from monolayer_core.kaggle_table import Problem, TableRow, read_rows
from monolayer_core.metrics import ImageScores, score_overlap
from monolayer_core.overlap import overlap_of_runs
from monolayer_core.rle import parse_kaggle
from monolayer_core.runs import Runs, find_overlap, find_runs

HEADER = ("ImageId", "EncodedPixels")
SOLUTION_HEADER = (*HEADER, "Height", "Width", "Usage")
SIZES_HEADER = ("ImageId", "Height", "Width")
IGNORED = "ignored"

_BAD_SIZE = "Height and Width are no numbers, or not the same in all rows"

_UNKNOWN_SIDE = 1 << 24
"""Stands for the sides of an image whose size is not known: no run of a real image leaves it."""


@dataclass(frozen=True)
class SubmissionScore:
    """Scores of a submission.

    Attributes
    ----------
    images : dict
        Scores of every image of the truth, a missing one scored as if nothing had been found in it.
    missing, unknown : tuple of str
        Images of the truth that the submission lacks, and images of the submission that the truth does not know.
    """

    images: dict[str, ImageScores]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def kaggle_score(self) -> float:
        """The competition's score: the mean over all images of the truth."""
        return float(np.mean([scores.kaggle_score for scores in self.images.values()]))


@dataclass(frozen=True)
class SubmissionCheck:
    """What a submission table holds, and everything that is wrong with it.

    Attributes
    ----------
    problems : tuple of Problem
        In the order of their lines; none means that the table may be handed in.
    image_count, object_count : int
        Images, and rows with run lengths, of those that are well formed.
    """

    problems: tuple[Problem, ...]
    image_count: int
    object_count: int


def write_submission(file: Path | TextIO, images: Mapping[str, Sequence[str]]) -> None:
    """Write a submission table.

    Parameters
    ----------
    file : Path or text file
        Where to write; a file that is open already should have been opened with ``newline=""``.
    images : mapping
        Run-length rows by image. Empty rows are left out; an image without any other row keeps one empty row.

    Raises
    ------
    SubmissionError
        An image has an empty name.
    """
    if isinstance(file, Path):
        with file.open("w", encoding="utf-8", newline="") as opened:
            write_submission(opened, images)
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    for image_id, rows in images.items():
        if not image_id:
            raise SubmissionError("an image needs a name")
        writer.writerows((image_id, row) for row in [row for row in rows if row] or [""])


def read_submission(file: Path | TextIO) -> dict[str, list[str]]:
    """Read a submission table: run-length rows by image, in the order of the file; ``[]`` for an image without objects.

    The rows themselves are not checked, see `validate_submission`.

    Raises
    ------
    SubmissionError
        The table is malformed; the message names the first line at fault.
    """
    images: dict[str, list[str]] = {}
    for row in read_rows(file, HEADER, exact=True):
        encoded = row.fields["EncodedPixels"].strip()
        images.setdefault(row.image_id, []).extend([encoded] if encoded else [])
    return images


def validate_submission(
    file: Path | TextIO,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    *,
    check: Callable[[], None] = lambda: None,
) -> SubmissionCheck:
    """List everything that is wrong with a submission table.

    Parameters
    ----------
    file : Path or text file
        The table.
    sizes : mapping, optional
        Height and width of every image that must be there. Without it, runs outside an image, missing and unknown
        images cannot be noticed.
    check : callable
        Called for every row and every image; what it raises ends the work.
    """
    problems: list[Problem] = []
    rows_of: dict[str, list[TableRow]] = {}
    for row in read_rows(file, HEADER, exact=True, problems=problems):
        check()
        rows_of.setdefault(row.image_id, []).append(row)
    object_count = 0
    for image_id, rows in rows_of.items():
        check()
        object_count += sum(1 for row in rows if row.fields["EncodedPixels"].strip())
        if sizes is not None and image_id not in sizes:
            problems.append(Problem("the image is not known", rows[0].line, image_id))
        else:
            size = (_UNKNOWN_SIDE, _UNKNOWN_SIDE) if sizes is None else sizes[image_id]
            problems.extend(_problems_of_image(rows, *size))
    problems.sort(key=lambda problem: problem.line or 0)
    if sizes is not None:
        problems.extend(Problem("the image is missing", None, name) for name in sizes if name not in rows_of)
    return SubmissionCheck(tuple(problems), len(rows_of), object_count)


def read_sizes(file: Path | TextIO) -> dict[str, tuple[int, int]]:
    """Read the height and width of images: a table with the columns of `SIZES_HEADER`, and any others.

    Raises
    ------
    SubmissionError
        The table is malformed, or a height or width is no number or not the same in all rows of an image.
    """
    sizes: dict[str, tuple[int, int]] = {}
    for row in read_rows(file, SIZES_HEADER):
        height, width = row.fields["Height"].strip(), row.fields["Width"].strip()
        is_size = _is_side(height) and _is_side(width)
        if not is_size or sizes.setdefault(row.image_id, (int(height), int(width))) != (int(height), int(width)):
            raise SubmissionError(str(Problem(_BAD_SIZE, row.line, row.image_id)))
    return sizes


def read_solution(file: Path | TextIO) -> dict[str, Runs]:
    """Read a solution table: the runs of the true objects by image, images with ``Usage`` Ignored left out.

    Where two objects share a pixel it belongs to the one listed first: a truth is taken as it is.

    Raises
    ------
    SubmissionError
        The table is malformed, a height or width is no number, differs between the rows of an image, or a row is no
        run-length encoding.
    """
    rows_of: dict[str, list[TableRow]] = {}
    for row in read_rows(file, SOLUTION_HEADER):
        rows_of.setdefault(row.image_id, []).append(row)
    solution = {}
    for image_id, rows in rows_of.items():
        if any(row.fields["Usage"].strip().lower() == IGNORED for row in rows):
            continue
        sizes = {(row.fields["Height"].strip(), row.fields["Width"].strip()) for row in rows}
        height, width = min(sizes)
        if len(sizes) > 1 or not _is_side(height) or not _is_side(width):
            raise SubmissionError(str(Problem(_BAD_SIZE, rows[0].line, image_id)))
        encoded = [text for row in rows if (text := row.fields["EncodedPixels"].strip())]
        try:
            runs = parse_kaggle(encoded, int(height), int(width))
        except RunLengthError as error:
            raise SubmissionError(str(Problem(str(error), rows[0].line, image_id))) from error
        solution[image_id] = runs if find_overlap(runs) is None else _first_wins(runs)
    return solution


def score_submission(submission: Mapping[str, Sequence[str]], truth: Mapping[str, Runs]) -> SubmissionScore:
    """Score a submission image by image.

    Parameters
    ----------
    submission : mapping
        Run-length rows by image, as `read_submission` gives them.
    truth : mapping
        Runs of the true objects by image: from `read_solution`, or by `runs.find_runs` from label images.

    Raises
    ------
    SubmissionError
        A row of the submission is malformed, two objects of an image overlap, or the truth holds no image.
    """
    if not truth:
        raise SubmissionError("the truth holds no image")
    images = {}
    for image_id, runs in truth.items():
        try:
            prediction = parse_kaggle(submission.get(image_id, []), runs.height, runs.width)
            images[image_id] = score_overlap(overlap_of_runs(runs, prediction))
        except RunLengthError as error:
            raise SubmissionError(f"image {image_id}: {error}") from error
    return SubmissionScore(
        images=images,
        missing=tuple(image_id for image_id in truth if image_id not in submission),
        unknown=tuple(image_id for image_id in submission if image_id not in truth),
    )


def _problems_of_image(rows: Sequence[TableRow], height: int, width: int) -> Iterator[Problem]:
    """Check the rows of one image together, and one by one only when something is wrong."""
    encoded = [row.fields["EncodedPixels"].strip() for row in rows]
    image_id = rows[0].image_id
    if len(rows) > 1:
        for row, text in zip(rows, encoded, strict=True):
            if not text:
                yield Problem(
                    "an empty row says that the image has no objects, but it has other rows", row.line, image_id
                )
    try:
        runs = parse_kaggle(encoded, height, width)
    except RunLengthError:
        yield from _problems_of_rows(rows, encoded, height, width)
        return
    clash = find_overlap(runs)
    if clash is not None:
        first, second = sorted((rows[clash[0]].line, rows[clash[1]].line))
        yield Problem(f"overlaps line {first} at pixel {clash[2] + 1}", second, image_id)


def _problems_of_rows(rows: Iterable[TableRow], encoded: Iterable[str], height: int, width: int) -> Iterator[Problem]:
    for row, text in zip(rows, encoded, strict=True):
        try:
            parse_kaggle([text], height, width)
        except RunLengthError as error:
            yield Problem(str(error), row.line, row.image_id)


def _is_side(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 7 and int(text) > 0


def _first_wins(runs: Runs) -> Runs:
    """Give every shared pixel to the object listed first."""
    flat = np.zeros(runs.height * runs.width, dtype=np.int32)
    for i in range(runs.starts.size - 1, -1, -1):
        flat[runs.starts[i] : runs.ends[i]] = runs.objects[i] + 1
    return find_runs(flat.reshape(runs.width, runs.height).T, runs.count)
