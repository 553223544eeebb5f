"""Which files are whole, judged by what was seen of them and when: nobody tells when a file is written to its end.

A file is whole when size and time of change stood still for a while; at once when it came by being renamed (then its
writer had finished with it under another name), or when it was new to us but last changed long ago. The judgement may
be wrong: a file that goes on growing is a new content, and is judged anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from monolayer_client.watching.sightings import Sighting, Stamp, files_by_id, is_candidate

LONG_AGO_S = 60.0
"""Age, in seconds, at which a file that is new to us is whole; well above what clocks of file servers are off."""


@dataclass(frozen=True, order=True)
class Arrival:
    """A whole file: when its content was complete, in seconds since 1970, and what tells the content from others.

    `is_new` is False where it lay there when watching began: how long it has waited says nothing then.
    """

    complete_s: float
    name: str
    stamp: Stamp
    is_new: bool


@dataclass
class _Known:
    stamp: Stamp
    since_s: float
    complete_s: float
    is_new: bool
    is_whole: bool


class Completeness:
    """Files of a folder and whether they are whole.

    Parameters
    ----------
    settle_s : float
        How long a file must stand still, in seconds.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._known: dict[str, _Known] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._has_looked = False

    def observe(self, files: Mapping[str, Sighting], *, now_s: float, wall_s: float) -> None:
        """Take in what was seen, at `now_s` on a clock that only goes forward and `wall_s` seconds since 1970."""
        known: dict[str, _Known] = {}
        for name in filter(is_candidate, files):
            sighting, before = files[name], self._known.get(name)
            if before is None or before.stamp != sighting.stamp:
                known[name] = self._first_seen(name, sighting, files, now_s=now_s, wall_s=wall_s)
            else:
                before.is_whole = before.is_whole or now_s - before.since_s >= self._settle_s
                known[name] = before
        self._known, self._names, self._has_looked = known, files_by_id(files), True

    def _first_seen(
        self, name: str, sighting: Sighting, files: Mapping[str, Sighting], *, now_s: float, wall_s: float
    ) -> _Known:
        is_other_content = name in self._known
        former_name = self._names.get(sighting.file_id) if sighting.file_id is not None else None
        was_renamed = former_name is not None and former_name != name and former_name not in files
        age_s = wall_s - sighting.stamp.mtime_ns / 1e9
        is_old = age_s >= LONG_AGO_S and not is_other_content
        is_whole = was_renamed or is_old or self._settle_s <= 0
        complete_s = wall_s - age_s if 0 <= age_s < LONG_AGO_S and not was_renamed else wall_s
        return _Known(sighting.stamp, now_s, complete_s, self._has_looked, is_whole)

    @property
    def names(self) -> frozenset[str]:
        """Files that are there and count as images by their names, whole or not."""
        return frozenset(self._known)

    def whole(self) -> list[Arrival]:
        """Give the files that are whole, the earliest first."""
        return sorted(
            Arrival(known.complete_s, name, known.stamp, known.is_new)
            for name, known in self._known.items()
            if known.is_whole
        )

    def next_due_s(self) -> float | None:
        """Give the moment, on the clock that goes forward, at which the next file may be whole; None where none is."""
        return min(
            (known.since_s + self._settle_s for known in self._known.values() if not known.is_whole), default=None
        )
