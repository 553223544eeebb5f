"""JSON objects of one kind, written column by column: no dictionary is made for each of thousands of them.

Every value is text that orjson has written, and a record is put together from it and the text between its values. The
bytes are those that orjson gives for the dictionaries.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import TypeAlias, Union

import numpy as np
import numpy.typing as npt
import orjson

Column: TypeAlias = Union[Iterable[bytes], "Columns"]
"""The values of one name as JSON text, or the columns of the record that each of them is."""

Columns: TypeAlias = Mapping[str, Column]


def write_records(columns: Columns) -> Iterator[bytes]:
    """Put records together from the JSON text of their values.

    Parameters
    ----------
    columns
        At least one name with its values; there are as many records as the shortest column has values.

    Examples
    --------
    >>> list(write_records({"id": [b"1", b"2"], "at": {"x": [b"3", b"4"]}}))
    [b'{"id":1,"at":{"x":3}}', b'{"id":2,"at":{"x":4}}']
    """
    parts = (repeat(part) if isinstance(part, bytes) else part for part in _parts(columns))
    return map(b"".join, zip(*parts, strict=False))


def _parts(columns: Columns) -> Iterator[bytes | Iterable[bytes]]:
    """Give the text between values, and the values, in the order in which they stand in a record."""
    opening = b"{"
    for name, values in columns.items():
        yield opening + orjson.dumps(name) + b":"
        if isinstance(values, Mapping):
            yield from _parts(values)
        else:
            yield values
        opening = b","
    yield b"}"


def write_numbers(values: npt.NDArray[np.number]) -> list[bytes]:
    """Write each row of an array ``(record,)`` or ``(record, value)``; a number that is not finite is null.

    Examples
    --------
    >>> write_numbers(np.array([1.5, np.nan])), write_numbers(np.array([[1, 2], [3, 4]]))
    ([b'1.5', b'null'], [b'[1,2]', b'[3,4]'])
    """
    if not len(values):
        return []
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    if values.ndim == 1:
        return text[1:-1].split(b",")
    return [b"[" + row + b"]" for row in text[2:-2].split(b"],[")]
