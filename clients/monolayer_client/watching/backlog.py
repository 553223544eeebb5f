"""What is still to be answered in a folder: who is next, what is under way, what cannot be answered and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from monolayer_client.watching.completeness import Arrival, Completeness
from monolayer_client.watching.sightings import Sighting, Stamp, image_id_of


@dataclass(frozen=True)
class Trouble:
    """Why an image has no answer."""

    name: str
    image_id: str
    reason: str


class Backlog:
    """Files of a folder, each content answered once.

    Where several files would have results of one name, the first of them by name is answered and the others are listed.

    Parameters
    ----------
    settle_s : float
        How long a file must stand still to be whole, in seconds.
    """

    def __init__(self, settle_s: float) -> None:
        self._completeness = Completeness(settle_s)
        self._settled: dict[str, tuple[str, Stamp]] = {}
        self._under_way: dict[str, Arrival] = {}
        self._put_off_until_s: dict[str, float] = {}
        self._reasons: dict[str, tuple[Stamp, str]] = {}
        self._ready: list[Arrival] = []
        self._owners: dict[str, str] = {}

    def observe(self, files: Mapping[str, Sighting], *, now_s: float, wall_s: float) -> None:
        """Take in what was seen of the folder, see `Completeness.observe`."""
        self._completeness.observe(files, now_s=now_s, wall_s=wall_s)
        self._owners = {}
        for name in sorted(self._completeness.names):
            self._owners.setdefault(image_id_of(name), name)
        whole = self._completeness.whole()
        stamps = {arrival.name: arrival.stamp for arrival in whole}
        self._reasons = {name: known for name, known in self._reasons.items() if stamps.get(name) == known[0]}
        self._put_off_until_s = {
            name: until_s for name, until_s in self._put_off_until_s.items() if name in stamps and until_s > now_s
        }
        self._ready = [arrival for arrival in whole if self._is_wanted(arrival)]

    def _is_wanted(self, arrival: Arrival) -> bool:
        name, image_id = arrival.name, image_id_of(arrival.name)
        return (
            self._owners[image_id] == name
            and self._settled.get(image_id) != (name, arrival.stamp)
            and image_id not in self._under_way
            and name not in self._put_off_until_s
        )

    def take(self) -> Arrival | None:
        """Give the image that is next, which then is under way; None where none is ready."""
        if not self._ready:
            return None
        arrival = self._ready.pop(0)
        self._under_way[image_id_of(arrival.name)] = arrival
        return arrival

    def settle(self, arrival: Arrival, trouble: str | None = None) -> None:
        """Be done with this content, answered or listed for good because of `trouble`."""
        self._settled[image_id_of(arrival.name)] = (arrival.name, arrival.stamp)
        self._reasons.pop(arrival.name, None)
        if trouble is not None:
            self._reasons[arrival.name] = (arrival.stamp, trouble)
        del self._under_way[image_id_of(arrival.name)]

    def put_off(self, arrival: Arrival, until_s: float, trouble: str | None = None) -> None:
        """Come back to this image later, on the clock that goes forward; with `trouble` it is listed until then."""
        self._put_off_until_s[arrival.name] = until_s
        if trouble is not None:
            self._reasons[arrival.name] = (arrival.stamp, trouble)
        del self._under_way[image_id_of(arrival.name)]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ready or under way."""
        return not self._ready and not self._under_way

    def next_due_s(self) -> float | None:
        """Give the moment at which looking again may find more to do; None where only a change can bring that."""
        moments = [self._completeness.next_due_s(), *self._put_off_until_s.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def troubles(self) -> list[Trouble]:
        """List the images that are there and have no answer, by name."""
        listed = {name: reason for name, (_, reason) in self._reasons.items()}
        for arrival in self._completeness.whole():
            owner = self._owners[image_id_of(arrival.name)]
            if owner != arrival.name:
                listed[arrival.name] = f"{owner} would have the same name of results: rename one of them"
        return [Trouble(name, image_id_of(name), reason) for name, reason in sorted(listed.items())]
