"""Requests of every kind at a real service: each is answered as it says, and nothing is logged as an error."""

import itertools

import pytest
from benchmarks.errands import (
    broken_off,
    image_errands,
    mistaken_errands,
    question_errands,
    run_errands,
    submission_errands,
)
from benchmarks.pictures import read_picture
from benchmarks.places import EXAMPLES
from benchmarks.server import running_service
from benchmarks.server_log import bad_lines
from benchmarks.soak import figures, soak_service

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

PICTURE = EXAMPLES / "fluorescence_tissue.png"


@pytest.fixture(scope="module")
def service(toy_bundles, tmp_path_factory):
    log = tmp_path_factory.mktemp("soak") / "service.log"
    with running_service(240, {"MONOLAYER_MODELS": str(toy_bundles)}, log=log) as server:
        yield server, log


def test_every_errand_is_answered_as_it_says(service):
    server, log = service
    picture = read_picture(PICTURE)
    images = list(itertools.islice(image_errands(picture), 60))
    errands = [
        *images,
        *question_errands(),
        *submission_errands(picture),
        *mistaken_errands(picture),
        *broken_off(images),
    ]
    found = run_errands(server.port, errands, clients=3)
    assert found.surprises == []
    assert found.done.total() == len(errands)
    assert bad_lines(log) == []


def test_a_short_soak_takes_a_sample_after_every_block(service):
    server, log = service
    soak = soak_service(server, log, PICTURE, count=8)
    assert [sample.requests for sample in soak.samples] == list(range(1, 9))
    assert soak.surprises == soak.bad_lines == []
    assert set(figures(soak)) == {"memory_growth", "file_growth", "thread_growth", "surprises", "bad_lines"}
    for sample in soak.samples:
        assert sample.resident_bytes > 50_000_000
        assert sample.descriptors > 3
        assert sample.threads > 1
