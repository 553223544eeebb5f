"""The short part of the campaign: 320 damaged files against the running service, the same every time."""

from collections import Counter

import pytest
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


def test_what_logs_must_not_hold_is_noticed():
    assert problems_of_log(['{"level": "info"}', '{"level": "warning"}']) == []
    assert len(problems_of_log(['{"level": "error"}', "Traceback", '{"level": "info", "x": "%s"}' % ("y" * 2000)])) == 3
    assert not INSIDE.search("the PNG data ends early or is damaged")
