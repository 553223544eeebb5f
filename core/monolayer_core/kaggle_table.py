"""Rows of Kaggle's CSV tables, each with its line number, so that a complaint says where to look."""

import csv
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from monolayer_core.errors import SubmissionError


@dataclass(frozen=True)
class Problem:
    """Something wrong with a table; `line` counts from 1 with the header, None where it is about the whole table."""

    message: str
    line: int | None = None
    image_id: str | None = None

    def __str__(self) -> str:
        place = [] if self.line is None else [f"line {self.line}"]
        place += [] if self.image_id is None else [f"image {self.image_id}"]
        return f"{', '.join(place)}: {self.message}" if place else self.message


@dataclass(frozen=True)
class TableRow:
    """One row: the line it begins on, counted from 1 with the header, and its fields by column."""

    line: int
    image_id: str
    fields: dict[str, str]


def read_rows(
    file: Path | TextIO, columns: Sequence[str], *, exact: bool = False, problems: list[Problem] | None = None
) -> Iterator[TableRow]:
    """Read the rows of a table with at least these columns, ``ImageId`` among them.

    Parameters
    ----------
    file : Path or text file
        The table, UTF-8 with or without a byte order mark.
    columns : sequence of str
        Columns that must be there.
    exact : bool
        Whether there may be no others, and no other order.
    problems : list, optional
        Takes what is wrong; rows that are well formed are still read.

    Raises
    ------
    SubmissionError
        The table is malformed and there is no list for its problems.
    """
    if isinstance(file, Path):
        with file.open(encoding="utf-8-sig", newline="") as opened:
            yield from read_rows(opened, columns, exact=exact, problems=problems)
        return
    with _LONG_FIELDS.admitted():
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in columns if name not in header]
            if missing or (exact and header != list(columns)):
                rule = f"the header must be {','.join(columns)}" if exact else f"the header lacks {', '.join(missing)}"
                _report(Problem(rule, 1), problems)
                return
            line = reader.line_num + 1
            for values in reader:
                if not values:
                    pass  # a blank line says nothing
                elif len(values) != len(header):
                    _report(Problem(f"has {len(values)} fields, the header {len(header)}", line), problems)
                elif not (image_id := values[header.index("ImageId")].strip()):
                    _report(Problem("has no ImageId", line), problems)
                else:
                    yield TableRow(line, image_id, dict(zip(header, values, strict=True)))
                line = reader.line_num + 1
        except csv.Error as error:
            _report(Problem(f"is no CSV: {error}", reader.line_num), problems)
        except UnicodeDecodeError as error:
            _report(Problem(f"the file is no UTF-8 text: {error}"), problems)


def _report(problem: Problem, problems: list[Problem] | None) -> None:
    if problems is None:
        raise SubmissionError(str(problem))
    problems.append(problem)


class _LongFields:
    """Lets the csv module read fields above its 128 KiB: a large object in a large image needs more.

    The limit is the process's: it is raised for the first of the tables that are read at the same time, in whatever
    threads, and put back after the last one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables = 0
        self._limit = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        with self._lock:
            if not self._tables:
                self._limit = csv.field_size_limit(2**31 - 1)
            self._tables += 1
        try:
            yield
        finally:
            with self._lock:
                self._tables -= 1
                if not self._tables:
                    csv.field_size_limit(self._limit)


_LONG_FIELDS = _LongFields()
