"""Whose tile is next: order, the bound on a small request's wait, and nobody starves. No threads, no clock."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from monolayer_service.scheduler.fairness import FIRST_PER_OLDEST, Claim, FairOrder


@dataclass
class Request:
    """Tiles of one size that are all there from the beginning; what it has waited for, and what it may at most."""

    name: str
    tiles: int
    tile_px: int = 1
    unserved_since: int = 0
    waited_px: int = 0
    bound_px: int | None = None


LARGEST_TILE_PX = 20


class Network:
    """Runs one tile after the other in the order that `FairOrder` gives."""

    def __init__(self):
        self.order = FairOrder()
        self.requests = []
        self.log = []

    def arrive(self, name, tiles, tile_px=1):
        self.requests.append(Request(name, tiles, tile_px, self.order.turn))

    def step(self):
        claims = [
            Claim(number, request.tiles * request.tile_px, request.tile_px, request.unserved_since)
            for number, request in enumerate(self.requests)
            if request.tiles
        ]
        request = self.requests[self.order.choose(claims).number]
        request.tiles -= 1
        request.unserved_since = self.order.turn
        self.log.append(request.name)
        return request

    def run(self, turns):
        for _ in range(turns):
            self.step()
        return "".join(self.log)


def test_alone_a_request_runs_tile_by_tile():
    network = Network()
    network.arrive("a", 4)
    assert network.run(4) == "aaaa"


def test_of_short_requests_the_shorter_one_is_done_first_and_of_equal_ones_the_first():
    network = Network()
    network.arrive("a", 3)
    network.arrive("b", 2)
    network.arrive("c", 2)
    assert network.run(7).index("b") < network.log.index("c")
    assert list(dict.fromkeys(reversed(network.log)))[::-1] == ["b", "c", "a"]


def test_a_frame_of_one_tile_passes_a_slide_of_four_thousand():
    network = Network()
    network.arrive("S", 4000)
    network.run(10)
    network.arrive("f", 1)
    network.run(1)
    assert network.log[-1] == "f"


def test_a_slide_gets_every_fourth_tile_while_frames_never_end():
    network = Network()
    network.arrive("S", 4000)
    for _ in range(100):
        for _ in range(FIRST_PER_OLDEST):
            network.arrive("f", 1)
        network.run(FIRST_PER_OLDEST + 1)
    assert "".join(network.log) == "fffS" * 100


def test_the_share_is_one_of_pixels_where_the_tiles_of_the_slide_are_larger():
    network = Network()
    network.arrive("S", 4000, tile_px=16)
    network.arrive("f", 480, tile_px=1)
    network.run(480 + 10)
    assert network.log.count("S") == 10
    assert network.log.count("f") == 480


def test_what_was_computed_ahead_of_a_slide_that_has_gone_is_not_paid_back_to_others():
    network = Network()
    network.arrive("S", 1, tile_px=1000)
    network.arrive("f", 100)
    network.run(100)
    network.requests[0].tiles = 0
    network.arrive("A", 50)
    network.arrive("b", 10)
    assert network.run(12)[100:].count("A") <= 1 + 12 // (FIRST_PER_OLDEST + 1)


@given(
    st.integers(1, 60), st.integers(1, 40), st.lists(st.tuples(st.integers(101, 4000), st.integers(1, 40)), max_size=5)
)
def test_a_short_request_waits_for_a_third_of_its_own_pixels_and_one_tile_of_others(tiles, before, slides):
    """The bound that the module promises, with slides of any number and size of tiles."""
    network = Network()
    for tile_count, tile_px in slides:
        network.arrive("S", tile_count, tile_px)
    if slides:
        network.run(before)
    network.arrive("f", tiles)
    others_px = 0
    largest_px = max((tile_px for _, tile_px in slides), default=0)
    while network.requests[-1].tiles:
        request = network.step()
        others_px += request.tile_px if request.name == "S" else 0
    assert others_px <= tiles / FIRST_PER_OLDEST + largest_px


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, LARGEST_TILE_PX)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, LARGEST_TILE_PX)), min_size=1, max_size=300),
)
def test_nobody_starves_whatever_comes_later(first, later):
    """No request waits for more than the bound that the module promises, while new ones arrive at every turn."""
    network = Network()
    for number, (tiles, tile_px) in enumerate([*first, *later]):
        network.arrive(f"request {number}", tiles, tile_px)
        if number < len(first) - 1:
            continue
        waiting = [request for request in network.requests if request.tiles]
        for request in waiting:
            if request.bound_px is None:
                as_old = [other for other in waiting if other.unserved_since <= request.unserved_since]
                request.bound_px = sum((FIRST_PER_OLDEST + 1) * other.tile_px + LARGEST_TILE_PX for other in as_old)
        served = network.step()
        served.waited_px, served.bound_px = 0, None
        for request in waiting:
            if request is not served:
                request.waited_px += served.tile_px
                assert request.waited_px <= request.bound_px
