"""A clock that is set while the service runs: nothing that waits, counts down or measures may follow it."""

import itertools
import re
import threading
import time

import pytest

from monolayer_service.segmenters.session import Network

JUMPS = {
    "an hour ahead": [3600],
    "an hour back": [-3600],
    "back and forth": [3600, -3600],
}


@pytest.fixture(params=JUMPS)
def jumping_clock(request, monkeypatch):
    """The time of day, which is elsewhere whenever somebody looks at it."""
    now, jumps = time.time, itertools.cycle([0, *JUMPS[request.param]])  # noqa: TID251 - this is the clock that jumps
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))


def seconds_of(client, metric):
    (found,) = re.findall(
        rf'^{metric}_sum{{route="/v1/segment",status="200"}} (\S+)$', client.get("/metrics").text, re.MULTILINE
    )
    return float(found)


@pytest.mark.fault("the clock jumps an hour", "answers and durations as ever")
def test_requests_are_answered_in_the_time_they_took(make_client, post_png, jumping_clock):
    client = make_client()
    answers = [post_png(client) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 1
    assert 0 < seconds_of(client, "monolayer_request_duration_seconds") < 600
    durations = [
        float(value) for answer in answers for value in re.findall(r"dur=([\d.]+)", answer.headers["server-timing"])
    ]
    assert all(0 <= milliseconds < 600_000 for milliseconds in durations)


@pytest.mark.fault("the clock jumps an hour before a deadline", "503 in time, a sensible Retry-After")
def test_a_deadline_comes_when_it_should_and_says_truthfully_when_to_come_back(
    make_client, post_png, jumping_clock, monkeypatch
):
    client = make_client(deadline_seconds=0.05, deadline_seconds_per_megapixel=0)
    go_on = threading.Event()
    run = Network.run

    def hang(self, tiles, provider=None, *, alone=True):
        assert go_on.wait(60)
        return run(self, tiles, provider, alone=alone)

    with monkeypatch.context() as patch:
        patch.setattr(Network, "run", hang)
        answer = post_png(client)
        go_on.set()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")
    assert 1 <= int(answer.headers["retry-after"]) < 60
    assert client.get("/readyz").status_code == 200
