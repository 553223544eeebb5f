"""Which plate and well an image is of, read from its name or from a table.

Fields of a well are averaged, so only what is known to name a field may differ between two images of a well. All else
in a name tells plates apart, or times; of several times one must be chosen.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from monolayer_client.errors import InputError
from monolayer_client.time_points import DATE, ELAPSED, FRAME, HOURS
from monolayer_client.user_tables import read_table
from monolayer_client.wells import WELL, Well, read_well

_FIELD = re.compile(r"(?<![A-Za-z0-9])(?:f|fov|field|site|pos|position|xy|tile)[-_ ]?\d+(?![A-Za-z0-9])", re.IGNORECASE)
"""A field, anywhere in a name: ``B03_f2``, ``site12``."""

_FIELD_BEHIND = re.compile(r"(?<![A-Za-z0-9])[sp]?\d+(?![A-Za-z0-9])", re.IGNORECASE)
"""A field, behind the well only: ``B03_2``, ``B03_s2``. Before it this may name a plate."""

_TIMES = tuple(map(re.compile, (ELAPSED, HOURS, DATE, FRAME)))
_SEPARATORS = "_-. "
_MOST_SHOWN = 6


@dataclass(frozen=True)
class Place:
    """The well an image is of, and what was done to it; empty where nothing is known or there is but one."""

    well: Well
    condition: str = ""
    plate: str = ""


@dataclass(frozen=True)
class _Parsed:
    plate: str
    well: Well
    field: str
    time: str
    by_date: bool


def places_from_names(names: Iterable[str], *, pattern: str = WELL, time: str | None = None) -> dict[str, Place]:
    """Read plates and wells from the names of images.

    Parameters
    ----------
    names
        Of images.
    pattern
        Regular expression with the groups ``row`` (a letter) and ``column`` (a number); the first match counts. It may
        have the groups ``plate``, ``field`` and ``time`` too: then nothing else of the name counts.
    time
        The time whose images are taken, as the names write it; of a date and time of day its beginning will do.

    Returns
    -------
    dict
        By name; images of other times are not in it.

    Raises
    ------
    InputError
        The pattern cannot be used, a name has no well, no image is of that time; or there are several times and none is
        given, or two images of the same field.
    """
    expression = _compile(pattern)
    parsed = {name: _parse(name, expression) for name in names}
    if time is not None:
        chosen = {name: each for name, each in parsed.items() if _is_of(each, time)}
        if parsed and not chosen:
            raise InputError(f"no image is of the time {time}: {_listed(parsed)}")
        parsed = chosen
    else:
        _check_one_time(parsed)
    seen: dict[tuple[str, Well, str], str] = {}
    for name, each in parsed.items():
        first = seen.setdefault((each.plate, each.well, each.field.lower()), name)
        if first != name:
            raise InputError(
                f"{first} and {name} are of one field of {each.well}: give --time, --map with image_id, or "
                "--well-pattern with the groups plate, field and time"
            )
    return {name: Place(each.well, plate=each.plate) for name, each in parsed.items()}


def places_from_map(
    path: Path, names: Iterable[str], *, pattern: str = WELL, time: str | None = None
) -> dict[str, Place]:
    """Read a table with the columns ``well`` and ``condition``, or ``image_id``, ``well`` and maybe ``condition``.

    Both may have the column ``plate``. A table by image says which images are fields of a well, whatever their names.

    Raises
    ------
    InputError
        It is no table, a column is missing, something is listed twice, or an image is not in it; see also
        `places_from_names`.
    """
    columns, rows = read_table(path)
    if {"image_id", "well"} <= set(columns):
        if time is not None:
            raise InputError(f"{path} says which images count: leave out --time")
        places: dict[str, Place] = {}
        for line, row in rows:
            if row["image_id"] in places:
                raise InputError(f"{path}, line {line}: {row['image_id']} is listed twice")
            places[row["image_id"]] = Place(
                _well_at(path, line, row["well"]), row.get("condition", ""), row.get("plate", "")
            )
        names = list(names)
        missing = next((name for name in names if name not in places), None)
        if missing is not None:
            raise InputError(f"{path} does not list the image {missing}")
        return {name: places[name] for name in names}
    if not {"well", "condition"} <= set(columns):
        raise InputError(f"{path} needs the columns well and condition, or image_id and well")
    conditions: dict[tuple[str, Well], str] = {}
    for line, row in rows:
        key = row.get("plate", ""), _well_at(path, line, row["well"])
        if key in conditions:
            raise InputError(f"{path}, line {line}: {' '.join(filter(None, (key[0], str(key[1]))))} is listed twice")
        conditions[key] = row["condition"]
    found = places_from_names(names, pattern=pattern, time=time)
    by_plate = "plate" in columns
    imaged, listed = {place.plate for place in found.values()}, {plate for plate, _ in conditions}
    if by_plate and not imaged & listed:
        raise InputError(f"{path} lists the plates {_joined(listed)}, but the images are of {_joined(imaged)}")
    return {
        name: replace(place, condition=conditions.get((place.plate if by_plate else "", place.well), ""))
        for name, place in found.items()
    }


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} cannot be used: {error}") from None
    if not {"row", "column"} <= set(expression.groupindex):
        raise InputError(f"the pattern {pattern!r} needs the groups (?P<row>…) and (?P<column>…)")
    return expression


def _parse(name: str, expression: re.Pattern[str]) -> _Parsed:
    match = expression.search(name)
    if match is None:
        raise InputError(f"no well is found in the name {name}: give --well-pattern or --map")
    well = read_well(match["row"] + match["column"])
    groups = match.groupdict()
    if groups.keys() & {"plate", "field", "time"}:
        told = {key: groups.get(key) or "" for key in ("plate", "field", "time")}
        return _Parsed(told["plate"], well, told["field"], told["time"], by_date=False)
    before, behind = name[: match.start()], name[match.end() :]
    for each in _TIMES:
        time, behind = _take(behind, each)
        if not time:
            time, before = _take(before, each)
        if time:
            break
    field, behind = _take(behind, _FIELD, _FIELD_BEHIND)
    if not field:
        field, before = _take(before, _FIELD)
    left = (part.strip(_SEPARATORS) for part in (before, behind))
    return _Parsed("_".join(filter(None, left)), well, field, time, by_date=bool(time) and each.pattern == DATE)


def _take(text: str, *expressions: re.Pattern[str]) -> tuple[str, str]:
    """Find the first of the expressions that is there; give it, or nothing, and what is left of the text."""
    for expression in expressions:
        if match := expression.search(text):
            return match.group(), _without(text, match)
    return "", text


def _without(text: str, match: re.Match[str]) -> str:
    parts = text[: match.start()].rstrip(_SEPARATORS), text[match.end() :].lstrip(_SEPARATORS)
    return "_".join(filter(None, parts))


def _is_of(each: _Parsed, time: str) -> bool:
    return each.time.lower() == time.lower() or (each.by_date and each.time.startswith(time))


def _check_one_time(parsed: Mapping[str, _Parsed]) -> None:
    """Refuse several times: those of a date too, which differ from image to image, if a field has two."""
    of_fields: dict[tuple[str, Well, str], str] = {}
    twice = any(
        of_fields.setdefault((each.plate, each.well, each.field.lower()), each.time) != each.time
        for each in parsed.values()
    )
    times = {each.time for each in parsed.values() if not each.by_date}
    if twice or len(times) > 1:
        raise InputError(
            f"a plate is summed up at one time, but {_listed(parsed)}: choose one with --time, or follow them with "
            "`monolayer series`"
        )


def _listed(parsed: Mapping[str, _Parsed]) -> str:
    return f"the images are of {_joined({each.time for each in parsed.values()})}"


def _joined(names: Collection[str]) -> str:
    shown = [name or "(no name)" for name in sorted(names)[:_MOST_SHOWN]]
    return ", ".join([*shown, "…"] if len(names) > _MOST_SHOWN else shown)


def _well_at(path: Path, line: int, text: str) -> Well:
    try:
        return read_well(text)
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
