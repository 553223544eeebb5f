"""Wells of a plate: their names, the plates they belong to, and which image is of which."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from monolayer_client.errors import InputError

PLATES = {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24)}
"""Rows and columns of plates, by their number of wells."""

WELL = r"(?<![A-Za-z0-9])(?P<row>[A-P])(?P<column>0?[1-9]|1[0-9]|2[0-4])(?![0-9A-Za-z])"
"""A letter and a number that stand by themselves: ``plate1_B03_f2``."""


@dataclass(frozen=True, order=True)
class Well:
    """A place on a plate, both from 0.

    Examples
    --------
    >>> str(Well(1, 2))
    'B03'
    """

    row: int
    column: int

    def __str__(self) -> str:
        return f"{chr(ord('A') + self.row)}{self.column + 1:02d}"


@dataclass(frozen=True)
class Place:
    """The well an image is of, and what was done to it; an empty condition where nothing is known."""

    well: Well
    condition: str = ""


def read_well(text: str) -> Well:
    """Read the name of a well.

    Raises
    ------
    InputError
        It is none of a plate of up to 384.

    Examples
    --------
    >>> read_well("b3")
    Well(row=1, column=2)
    """
    match = re.fullmatch(WELL, text.strip().upper())
    if match is None:
        raise InputError(f"{text!r} is no well: A1 to P24 are")
    return _well(match)


def places_from_names(names: Iterable[str], *, pattern: str = WELL) -> dict[str, Place]:
    """Read wells from the names of images.

    Parameters
    ----------
    names
        Of images.
    pattern
        Regular expression with the groups ``row`` (a letter) and ``column`` (a number). The first match counts.

    Raises
    ------
    InputError
        The pattern cannot be used, or there is a name without a well.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} cannot be used: {error}") from None
    if not {"row", "column"} <= set(expression.groupindex):
        raise InputError(f"the pattern {pattern!r} needs the groups (?P<row>…) and (?P<column>…)")
    places = {}
    for name in names:
        match = expression.search(name)
        if match is None:
            raise InputError(f"no well is found in the name {name}: give --well-pattern or --map")
        places[name] = Place(read_well(match["row"] + match["column"]))
    return places


def places_from_map(path: Path, names: Iterable[str], *, pattern: str = WELL) -> dict[str, Place]:
    """Read a CSV table with the columns ``well`` and ``condition``, or ``image_id``, ``well`` and maybe ``condition``.

    Raises
    ------
    InputError
        A column is missing, something is listed twice, or an image is not in it.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    columns = set(rows[0]) if rows else set()
    if "image_id" in columns and "well" in columns:
        listed = _unique(path, rows, "image_id")
        missing = next((name for name in names if name not in listed), None)
        if missing is not None:
            raise InputError(f"{path} does not list the image {missing}")
        return {name: Place(read_well(listed[name]["well"]), listed[name].get("condition") or "") for name in names}
    if not {"well", "condition"} <= columns:
        raise InputError(f"{path} needs the columns well and condition, or image_id and well")
    conditions = {read_well(well): row["condition"] for well, row in _unique(path, rows, "well").items()}
    places = places_from_names(names, pattern=pattern)
    return {name: Place(place.well, conditions.get(place.well, "")) for name, place in places.items()}


def smallest_plate(wells: Iterable[Well]) -> int:
    """Give the number of wells of the smallest plate that has all of these.

    Raises
    ------
    InputError
        There is none.
    """
    wells = list(wells)
    for size, (rows, columns) in PLATES.items():
        if all(well.row < rows and well.column < columns for well in wells):
            return size
    raise InputError("there is no plate with all of these wells")


def _unique(path: Path, rows: list[dict[str, str]], key: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        if row[key] in found:
            raise InputError(f"{path}, line {line}: {row[key]} is listed twice")
        found[row[key]] = row
    return found


def _well(match: re.Match[str]) -> Well:
    return Well(ord(match["row"].upper()) - ord("A"), int(match["column"]) - 1)
