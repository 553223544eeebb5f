"""A table of the objects for spreadsheets and statistics: one row an object, with the unit in every heading."""

import csv
import io
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

_BASE = (
    "image_id",
    "id",
    "class",
    "score",
    "bbox_y_px",
    "bbox_x_px",
    "bbox_height_px",
    "bbox_width_px",
    "centroid_y_px",
    "centroid_x_px",
    "area_px",
)
"""Headings that are always there; further measurements follow."""

_NOT_IN_A_TABLE = frozenset({"rle", "polygon"})
_CHANNELS = ("red", "green", "blue")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def encode_object_table(image_id: str, records: Iterable[Mapping[str, Any]], pixel_size_um: float | None) -> bytes:
    """Write the table of the objects of one image as CSV.

    Parameters
    ----------
    image_id : str
        First field of every row, so that the tables of many images can be put together.
    records : iterable of mapping
        The objects as `object_columns.records_of` gives them, or as they stand in the JSON answer, all with the same
        names. Run lengths and polygons are left out.
    pixel_size_um : float or None
        Side of a pixel in micrometres; where it is known, a table without objects has the heading `area_um2`, too.

    Returns
    -------
    bytes
        UTF-8, with a heading line, lines ending in a line feed. What is not known is empty. Text that a spreadsheet
        would take for a formula has an apostrophe in front.
    """
    rows = map(flat_record, records)
    first = list(itertools.islice(rows, 1))
    headings = [*_BASE, *(("area_um2",) if pixel_size_um is not None else ())]
    headings += [name for row in first for name in row if name not in headings]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(headings)
    for row in itertools.chain(first, rows):
        values = [image_id, *(row.get(name) for name in headings[1:])]
        writer.writerow([safe_cell(value) if isinstance(value, str) else value for value in values])
    return file.getvalue().encode()


def flat_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of an object by heading: one name for each number, with its unit.

    Examples
    --------
    >>> flat_record({"id": 1, "centroid": {"y": 0.5, "x": 2.0}, "mean_intensity": [9.0, 8.0, 7.5], "rle": "1 2"})
    {'id': 1, 'centroid_y_px': 0.5, 'centroid_x_px': 2.0, 'mean_intensity_red': 9.0, 'mean_intensity_green': 8.0, \
'mean_intensity_blue': 7.5}
    """
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name in _NOT_IN_A_TABLE:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{name}_{part}_px": number for part, number in value.items()}
        elif isinstance(value, list):
            parts = _CHANNELS if len(value) == len(_CHANNELS) else range(len(value))
            flat |= {f"{name}_{part}": number for part, number in zip(parts, value, strict=True)}
        else:
            flat[name] = value
    return flat


def safe_cell(text: str) -> str:
    """Put an apostrophe in front of a text that a spreadsheet would run as a formula.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell("well A1")
    ("'=1+1", 'well A1')
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
