"""Wells of a plate: their names, and the plates that have them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

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
    return Well(ord(match["row"].upper()) - ord("A"), int(match["column"]) - 1)


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
