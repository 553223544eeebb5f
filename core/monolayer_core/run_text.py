"""Numbers of runs as characters and back, for all objects of an image at once.

Two notations: decimals with spaces between them (Kaggle), and groups of five bits as pycocotools writes them (COCO).
Both are laid out as a table of characters and cut into one string per object at the end.
"""

from collections.abc import Sequence, Sized

import numpy as np
import numpy.typing as npt

from monolayer_core.errors import RunLengthError
from monolayer_core.runs import Int64Array

_MAX_DIGITS = 15
"""Longest decimal accepted: far above any image, and sums of a start and a length stay exact in 64 bits."""

_MAX_GROUPS = 7
"""Most characters of one COCO number: 35 bits, more than pycocotools' 32-bit counts can need."""


def row_name(index: int, rows: Sized) -> str:
    """How a message names a row, with a space behind it; empty where there is only one row."""
    return f"row {index + 1} " if len(rows) > 1 else ""


def write_decimals(numbers: Int64Array, per_object: Int64Array) -> list[str]:
    """Write numbers from 0 up as decimals with spaces between them, `per_object` of them in each string."""
    largest = int(numbers.max(initial=0))
    digits = len(str(largest))
    characters = np.zeros((digits + 1, numbers.size), dtype=np.uint8)
    characters[digits] = ord(" ")
    # 32 bits are divided several times as fast as 64.
    rest: npt.NDArray[np.integer] = numbers.astype(np.uint32 if largest < 2**32 else np.int64)
    for column in range(digits - 1, -1, -1):
        tens = rest // 10
        digit = (rest - 10 * tens).astype(np.uint8) + np.uint8(ord("0"))
        # What is 0 from here on is a leading zero, unless it is the only digit.
        characters[column] = digit if column == digits - 1 else digit * (rest != 0)
        rest = tens
    return [text[:-1] for text in _cut(characters, per_object)]


def read_decimals(rows: Sequence[str]) -> tuple[Int64Array, Int64Array]:
    """Read whole numbers separated by spaces.

    Returns
    -------
    numbers : int64 (number,)
        Of all rows, one after the other.
    per_row : int64 (row,)
        How many belong to each row.

    Raises
    ------
    RunLengthError
        A word is no whole number or is longer than any image needs.
    """
    text = " ".join(rows)
    codes = np.frombuffer(text.encode("ascii", errors="replace"), dtype=np.uint8)
    is_digit = (codes >= ord("0")) & (codes <= ord("9"))
    steps = np.diff(is_digit.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(steps > 0), np.flatnonzero(steps < 0)
    widths = ends - starts
    longest = int(widths.max(initial=0))
    if longest > _MAX_DIGITS or not (is_digit | (codes == ord(" "))).all():
        _refuse_word(rows)

    numbers = np.zeros(starts.size, dtype=np.int64)
    for place in range(longest):
        has = np.flatnonzero(widths > place)
        numbers[has] = 10 * numbers[has] + codes[starts[has] + place] - ord("0")
    row_ends = np.cumsum(np.fromiter((len(row) + 1 for row in rows), dtype=np.int64, count=len(rows)))
    return numbers, np.diff(np.searchsorted(starts, row_ends), prepend=0)


def write_five_bits(counts: Int64Array, per_object: Int64Array) -> list[str]:
    """Write counts as COCO compressed strings, `per_object` of them in each.

    Method: ``rleToString`` of pycocotools. From the fourth count of an object on, the difference to the count two
    before is written: five bits a character, least significant first, until the rest is sign alone; bit 5 says that
    another character follows, and 48 is added.
    """
    has_delta = np.flatnonzero(_position(per_object) > 2)
    values = counts.copy()
    values[has_delta] -= counts[has_delta - 2]

    groups = []
    goes_on = np.ones(counts.size, dtype=np.bool_)
    while goes_on.any():
        bits = values & 0x1F
        values >>= 5
        is_used = goes_on
        goes_on = goes_on & np.where(bits & 0x10, values != -1, values != 0)
        groups.append(np.where(is_used, bits + 0x20 * goes_on + 48, 0).astype(np.uint8))
    return _cut(np.stack(groups), per_object) if groups else []


def read_five_bits(strings: Sequence[str]) -> tuple[Int64Array, Int64Array]:
    """Read COCO compressed strings.

    Returns
    -------
    counts : int64 (count,)
        Of all strings, one after the other, differences resolved; not checked further.
    per_string : int64 (string,)
        How many belong to each string.

    Raises
    ------
    RunLengthError
        A string is empty, holds a foreign character, ends within a number or holds a number of more than 35 bits.
    """
    codes = _codes(strings)
    string_ends = np.cumsum(np.fromiter(map(len, strings), dtype=np.int64, count=len(strings)))
    goes_on = (codes & 0x20) != 0
    cut = np.flatnonzero(goes_on[string_ends - 1])
    if cut.size:
        raise RunLengthError(f"{row_name(int(cut[0]), strings)}ends within a number")
    last = np.flatnonzero(~goes_on)
    groups = np.diff(last, prepend=-1)
    too_long = np.flatnonzero(groups > _MAX_GROUPS)
    if too_long.size:
        row = int(np.searchsorted(string_ends, last[too_long[0]], side="right"))
        raise RunLengthError(f"{row_name(row, strings)}holds a number of {groups[too_long[0]]} characters")

    values = np.zeros(last.size, dtype=np.int64)
    for group in range(int(groups.max(initial=0))):
        has = np.flatnonzero(groups > group)
        values[has] += (codes[last[has] - groups[has] + 1 + group] & 0x1F) << (5 * group)
    is_negative = (codes[last] & 0x10) != 0
    values[is_negative] -= np.left_shift(1, 5 * groups[is_negative])
    per_string = np.diff(np.searchsorted(last, string_ends), prepend=0)
    return _undo_deltas(values, _position(per_string)), per_string


def _refuse_word(rows: Sequence[str]) -> None:
    """Raise the error for the first word that is no number, or too long a one."""
    for i, row in enumerate(rows):
        for word in row.split(" "):
            if word and not (word.isascii() and word.isdigit() and len(word) <= _MAX_DIGITS):
                shown = repr(word if len(word) <= 20 else word[:20] + "...")
                message = f"holds {shown}, no whole number of at most {_MAX_DIGITS} digits"
                raise RunLengthError(row_name(i, rows) + message)


def _position(per_object: Int64Array) -> Int64Array:
    """Place of each number within its object, from 0."""
    first = np.cumsum(per_object) - per_object
    return np.arange(int(per_object.sum())) - np.repeat(first, per_object)


def _undo_deltas(values: Int64Array, position: Int64Array) -> Int64Array:
    """Turn differences to the count two before into counts: running sums over every second one of each object."""
    counts = values.copy()
    for parity in (0, 1):
        chain = np.flatnonzero((position % 2 == parity) & (position > 0))
        sums = np.cumsum(values[chain])
        heads = np.flatnonzero(position[chain] <= 2)
        before = sums[heads] - values[chain[heads]]
        counts[chain] = sums - np.repeat(before, np.diff(heads, append=chain.size))
    return counts


def _codes(strings: Sequence[str]) -> Int64Array:
    """Return the six-bit characters of all strings, one after the other, 0 to 63."""
    for i, text in enumerate(strings):
        if not text:
            raise RunLengthError(f"{row_name(i, strings)}is empty: an object without pixels is one count of zeros")
    joined = "".join(strings)
    if joined and not "0" <= min(joined) <= max(joined) <= "o":
        i, foreign = next((i, c) for i, text in enumerate(strings) for c in text if not "0" <= c <= "o")
        raise RunLengthError(f"{row_name(i, strings)}holds {foreign!r}, which is in no COCO counts string")
    return np.frombuffer(joined.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48


def _cut(characters: npt.NDArray[np.uint8], per_object: Int64Array) -> list[str]:
    """Join the numbers of a table ``(character, number)`` object by object, leaving out the zeros."""
    lines = np.ascontiguousarray(characters.T)
    text = lines[lines != 0].tobytes().decode("ascii")
    length = (characters != 0).sum(axis=0, dtype=np.uint8)  # of a number; many times as fast as `np.count_nonzero`
    ends = np.concatenate([[0], np.cumsum(length, dtype=np.int64)])[np.cumsum(per_object)].tolist()
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
