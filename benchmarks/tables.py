"""Markdown tables, and the marked part of a document that others show."""

import re
from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of as many columns as the header has.

    Raises
    ------
    ValueError
        A row has another number of cells.

    Examples
    --------
    >>> print(markdown_table(["side", "ms"], [["256²", "9.1"]]))
    | side | ms |
    | --- | --- |
    | 256² | 9.1 |
    """
    lines = [list(header), ["---"] * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells does not fit {len(header)} columns: {row}")
        lines.append(list(row))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def mark(name: str, content: str) -> str:
    """Put a part of a document between comments by which `marked_part` finds it."""
    return f"<!-- {name} -->\n{content}\n<!-- /{name} -->"


def marked_part(text: str, name: str) -> str:
    """What stands between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises
    ------
    ValueError
        There is no such part.
    """
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, re.DOTALL)
    if found is None:
        raise ValueError(f"there is no <!-- {name} --> … <!-- /{name} -->")
    return found[1]


def pick_columns(table: str, names: Sequence[str]) -> str:
    """A table with only some of its columns.

    Raises
    ------
    ValueError
        The table has no such column.

    Examples
    --------
    >>> print(pick_columns("| a | b |\n| --- | --- |\n| 1 | 2 |", ["b"]))
    | b |
    | --- |
    | 2 |
    """
    header, _, *rows = (line.strip("| ").split(" | ") for line in table.splitlines())
    places = [header.index(name) for name in names]
    return markdown_table(names, ([row[place] for place in places] for row in rows))
