"""Whose tile is next: the request with the least left to do, and every so often the one that has waited longest.

The shortest first gives the shortest waits on average, and a frame of one tile never stands behind a slide of
thousands. Alone it would starve the slide for as long as frames come in. So for every `FIRST_PER_OLDEST` pixels that
are computed ahead of the request that was passed over longest, one pixel of that request is: about a fourth of the
network is left to those who wait. Ageing counts pixels and turns, not seconds: how fast the machine is changes nothing
in the order, and the same arrivals always give the same one.

What follows from it:

- Before a request is served, each one that has waited as long costs it at most `FIRST_PER_OLDEST` + 1 times a tile of
  that one, and one tile of a shorter request. Those that come later cost it nothing more.
- While nothing shorter comes, a request of ``n`` pixels waits for at most ``n / FIRST_PER_OLDEST`` pixels of others,
  and one tile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_PER_OLDEST = 3
"""Pixels of the shortest requests for each pixel of the one that was passed over longest."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one request asks of the network at this moment.

    Attributes
    ----------
    number : int
        Order of arrival; settles ties.
    remaining_px : int
        Pixels still to be computed for it, those of tiles that are not cut yet included.
    next_px : int
        Pixels of the tile that it would run next.
    unserved_since : int
        Turn in which it was served last, or came.
    """

    number: int
    remaining_px: int
    next_px: int
    unserved_since: int


class FairOrder:
    """Chooses between claims; deterministic, without a clock or a thread.

    Attributes
    ----------
    turn : int
        How often something was chosen; the time in which `Claim.unserved_since` is measured.
    """

    def __init__(self) -> None:
        self.turn = 0
        self._computed_ahead_px = 0

    def choose(self, claims: Sequence[Claim]) -> Claim:
        """Choose whose tile runs next and keep account of it.

        Parameters
        ----------
        claims : sequence of Claim
            At least one.
        """
        self.turn += 1
        shortest = min(claims, key=lambda claim: (claim.remaining_px, claim.number))
        oldest = min(claims, key=lambda claim: (claim.unserved_since, claim.number))
        # Serving the oldest empties the account: what was computed ahead of it is not paid back to others.
        if shortest is oldest or self._computed_ahead_px >= FIRST_PER_OLDEST * oldest.next_px:
            self._computed_ahead_px = 0
            return oldest
        self._computed_ahead_px += shortest.next_px
        return shortest
