"""CSV tables that users make, often with a spreadsheet: read as they are written there, or refused by the line."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from monolayer_client.errors import InputError

Row: TypeAlias = tuple[int, Mapping[str, str]]
"""The number of a line in the file and its cells by column, without spaces around them."""


def read_table(path: Path) -> tuple[Sequence[str], list[Row]]:
    """Read the columns and the rows of a table whose first line names the columns; empty lines are skipped.

    The text is UTF-8 or, as spreadsheets under Windows write it, Windows-1252; cells are separated by commas, or by
    semicolons where the first line has no comma.

    Raises
    ------
    InputError
        It is no such text, a column is named twice, or a line has another number of cells than there are columns.
    """
    text = _decoded(path)
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    columns: list[str] = []
    rows: list[Row] = []
    try:
        for each in reader:
            cells = [cell.strip() for cell in each]
            if not any(cells):
                continue
            if not columns:
                columns = cells
                _check_columns(path, columns)
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but {len(columns)} columns are named"
                )
            rows.append((reader.line_num, dict(zip(columns, cells, strict=True))))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None
    return columns, rows


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} is no CSV table in UTF-8 or Windows-1252")


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = next((name for index, name in enumerate(columns) if name and name in columns[:index]), None)
    if twice is not None:
        raise InputError(f"{path} has two columns {twice}")
