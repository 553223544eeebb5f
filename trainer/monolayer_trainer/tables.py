"""Small tables and texts of a run folder."""

import csv
from collections.abc import Sequence
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table with a header; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write a table whose columns are all names that occur, in the order of their first appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, so that a stop in between leaves the old one."""
    fresh = path.with_name(path.name + ".next")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
