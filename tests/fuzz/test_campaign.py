"""The short part of the campaign: 320 damaged files against the running service, the same every time."""

from collections import Counter

import pytest
from tests.fuzz import campaign
from tests.fuzz.campaign import INSIDE, problems_of, problems_of_log, run
from tests.fuzz.mutations import MUTATIONS, SOUND, mutants

FILES = 320


@pytest.mark.enable_socket
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_damaged_files_are_answered_or_refused_and_nothing_else(toy_bundles):
    findings = run(seed=1, count=FILES, environment={"MONOLAYER_MODELS": str(toy_bundles)})
    assert findings.faults == [], findings.table()
    statuses = sum((tally.statuses for tally in findings.tallies.values()), start=Counter())
    assert statuses.total() == FILES
    assert statuses.keys() >= {200, 413, 415, 422}, "the files must be damaged enough, and not too much"


def test_the_files_are_the_same_every_time_and_of_every_kind():
    files = list(mutants(seed=1, count=FILES))
    assert files == list(mutants(seed=1, count=FILES))
    assert files[7:9] == list(mutants(seed=1, count=2, first=7))
    assert len({file.data for file in files}) > 0.8 * FILES
    tried = {(file.format, file.mutation) for file in files}
    assert tried >= {(kind, name) for kind, made in MUTATIONS.items() for name, _ in made}
    assert {file.format for file in files} == set(SOUND)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b"{}"),
        (422, b'{"error": {"code": "a", "message": "/usr/lib/x.py", "request_id": "1"}}'),
        (422, b'{"error": {"code": "a", "message": "<TiffPage at 0x7f00aa>", "request_id": "1"}}'),
        (422, b'{"error": {"code": "a", "message": "%s", "request_id": "1"}}' % (b"x" * 501)),
        (422, b'{"error": {"code": "a", "message": "b"}}'),
    ],
)
def test_what_is_against_the_contract_is_noticed(status, body):
    assert problems_of(status, body)


LATE = campaign.MAX_SECONDS + 1


@pytest.mark.parametrize(
    ("tries", "taken", "is_fault"),
    [
        ([(1, 1)], (1, 1), False),
        ([(1, LATE), (1, 2)], (1, 2), False),
        ([(LATE, LATE), (1, 2)], (1, 2), False),
        ([(1, LATE + 1), (2, LATE)], (2, LATE), True),
        ([(LATE + 1, 3), (LATE, 2)], (LATE, 2), True),
    ],
    ids=["in time", "a busy machine", "a cold start", "waits twice", "computes twice"],
)
def test_a_file_that_takes_too_long_twice_is_a_fault(tries, taken, is_fault):
    replies = iter([campaign.Reply(200, b"", cpu_seconds, seconds) for cpu_seconds, seconds in tries])
    reply = campaign.asked_twice_if_late(lambda: next(replies))
    assert (reply.cpu_seconds, reply.seconds) == taken
    assert bool(campaign.problems_of_reply(reply)) == is_fault
    assert list(replies) == [], "asked again only where the first answer was late"


def test_what_logs_must_not_hold_is_noticed():
    assert problems_of_log(['{"level": "info"}', '{"level": "warning"}']) == []
    assert len(problems_of_log(['{"level": "error"}', "Traceback", '{"level": "info", "x": "%s"}' % ("y" * 2000)])) == 3
    assert not INSIDE.search("the PNG data ends early or is damaged")
