"""When an image was taken and which series it belongs to, read from its name or from a table."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monolayer_client.errors import InputError
from monolayer_client.user_tables import read_table

ELAPSED = r"(?P<d>\d+)d(?P<h>\d+)h(?P<m>\d+)m(?:(?P<s>\d+)s)?"
"""Days, hours and minutes since the start, as incubator microscopes write them: ``A1_1_00d02h30m``."""

HOURS = r"(?<![A-Za-z0-9])[tT]?(?P<h>\d+(?:\.\d+)?)h(?:(?P<m>\d+)m(?:in)?)?(?![A-Za-z0-9])"
"""Hours, maybe with minutes: ``flask2_36h``, ``t12h30m``."""

DATE = r"(?P<date>20\d{2}-?\d{2}-?\d{2})[T_ -]?(?P<clock>\d{2}[-:h]?\d{2}(?:[-:m]?\d{2})?)(?!\d)"
"""Date and time of day: ``20260314_0930``, ``2026-03-14T09-30-00``."""

FRAME = r"(?<![A-Za-z0-9])[tT](?P<n>\d+)(?![A-Za-z0-9])"
"""The number of a frame behind a ``t``: ``pos3_t0012_10x``; needs the time between two frames."""

NUMBER = r"(?<![A-Za-z0-9])(?P<n>\d+)(?![A-Za-z0-9])(?!.*(?<![A-Za-z0-9])\d+(?![A-Za-z0-9]))"
"""The number of a frame without a ``t``: the last one in the name that stands by itself, ``pos3_0012_10x``."""

_GROUPS = frozenset({"d", "h", "m", "s", "date", "clock", "n"})
_SEPARATORS = "_-. "


@dataclass(frozen=True, order=True)
class TimePoint:
    """When an image of a series was taken, in hours; where they count from is the same for all of a set."""

    series: str
    hours: float


def times_from_names(
    names: Iterable[str], *, pattern: str | None = None, interval_h: float | None = None
) -> dict[str, TimePoint]:
    """Read times from names; what is left of a name without its time is the name of its series.

    Parameters
    ----------
    names
        Of images.
    pattern
        Regular expression with groups of these names, any of them: ``d``, ``h``, ``m``, ``s`` (days to seconds since
        the start), ``date`` and ``clock``, ``n`` (number of the frame). Without it `ELAPSED`, `HOURS` and `DATE` are
        tried, or `FRAME` and `NUMBER` where there is an interval; the first that all names have is taken.
    interval_h
        Hours between two frames.

    Returns
    -------
    dict
        By name. Times by date count from the earliest image of all.

    Raises
    ------
    InputError
        The pattern cannot be used, or there is a name in which no time is found.
    """
    names = list(names)
    tried = [_compile(pattern)] if pattern is not None else list(map(re.compile, _known(interval_h)))
    for expression in tried:
        found = {name: expression.search(name) for name in names}
        if all(found.values()):
            matches = {name: match for name, match in found.items() if match is not None}
            return _from_matches(matches, interval_h)
    without = next(name for name in names if tried[0].search(name) is None)
    raise InputError(
        f"no time is found in the name {without}: give --interval and numbered frames, --time-pattern or --times"
    )


def times_from_table(path: Path) -> dict[str, TimePoint]:
    """Read a CSV table with the columns ``image_id``, ``hours`` and, if there are several, ``series``.

    Raises
    ------
    InputError
        It is no table, a column is missing, a time is no number, or an image is listed twice.
    """
    times: dict[str, TimePoint] = {}
    for line, row in read_table(path)[1]:
        try:
            name, hours = row["image_id"], float(row["hours"])
        except (KeyError, ValueError):
            hours = math.nan
        if not math.isfinite(hours):
            raise InputError(f"{path}, line {line}: image_id and hours (a number) are needed")
        if name in times:
            raise InputError(f"{path}, line {line}: {name} is listed twice")
        times[name] = TimePoint(row.get("series") or "series", hours)
    return times


def _known(interval_h: float | None) -> tuple[str, ...]:
    return (ELAPSED, HOURS, DATE) if interval_h is None else (FRAME, NUMBER)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} cannot be used: {error}") from None
    if not _GROUPS & set(expression.groupindex):
        raise InputError(f"the pattern {pattern!r} names no time: it needs a group such as (?P<h>[0-9]+) for hours")
    return expression


def _from_matches(matches: Mapping[str, re.Match[str]], interval_h: float | None) -> dict[str, TimePoint]:
    hours = {name: _hours(name, match, interval_h) for name, match in matches.items()}
    by_date = any(match.groupdict().get("date") for match in matches.values())
    start = min(hours.values(), default=0.0) if by_date else 0.0
    return {name: TimePoint(_series(name, match), round(hours[name] - start, 6)) for name, match in matches.items()}


def _hours(name: str, match: re.Match[str], interval_h: float | None) -> float:
    parts = {key: value for key, value in match.groupdict().items() if value}
    try:
        if "n" in parts:
            if interval_h is None:
                raise InputError(f"{name} has the number of a frame only: give --interval, the time between two")
            return float(parts["n"]) * interval_h
        hours = 24 * float(parts.get("d", 0)) + float(parts.get("h", 0))
        hours += float(parts.get("m", 0)) / 60 + float(parts.get("s", 0)) / 3600
        if "date" in parts:
            digits = "".join(filter(str.isdigit, parts["date"] + parts.get("clock", "0000"))).ljust(14, "0")
            hours += datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp() / 3600
    except ValueError:
        raise InputError(f"{match.group()} in the name {name} is no time") from None
    return hours


def _series(name: str, match: re.Match[str]) -> str:
    before, after = name[: match.start()].rstrip(_SEPARATORS), name[match.end() :].lstrip(_SEPARATORS)
    return "_".join(part for part in (before, after) if part) or "series"
