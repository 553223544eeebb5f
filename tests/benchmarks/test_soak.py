"""What a soak counts, by samples that are known; the errands themselves against the service, in `tests/deploy`."""

from collections import Counter

import pytest
from benchmarks.errands import make_errands
from benchmarks.pictures import read_picture
from benchmarks.places import EXAMPLES
from benchmarks.soak import Sample, Soak, block_sizes, figures, render
from benchmarks.targets import SOAK_TARGETS
from hypothesis import given
from hypothesis import strategies as st

MIB = 1 << 20


@given(st.integers(1, 50_000))
def test_blocks_are_alike_and_hold_every_request(count):
    sizes = list(block_sizes(count))
    assert sum(sizes) == count
    assert len(sizes) <= 100
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def soak(*, leak_bytes=0, files=lambda block: 20, surprises=(), bad_lines=()):
    wobble = [(7 * block * block) % 11 - 5 for block in range(100)]
    samples = [
        Sample(200 * (block + 1), 500 * MIB + leak_bytes * block + wobble[block] * 4096, files(block), 12)
        for block in range(100)
    ]
    return Soak(samples, Counter({"PNG, raw": 20_000}), list(surprises), list(bad_lines))


def met(found):
    return {name: SOAK_TARGETS[name].is_met(figure.value) for name, figure in figures(found).items()}


def test_a_service_that_stays_as_it_is_meets_every_target():
    assert set(met(soak()).values()) == {True}


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        pytest.param(soak(leak_bytes=4096), "memory_growth", id="a page a block"),
        pytest.param(soak(files=lambda block: 20 + block // 10), "file_growth", id="a file in ten blocks"),
        pytest.param(soak(surprises=["500"]), "surprises", id="an answer"),
        pytest.param(soak(bad_lines=["Traceback"]), "bad_lines", id="a line"),
    ],
)
def test_what_goes_wrong_is_the_one_target_missed(found, missed):
    assert [name for name, is_met in met(found).items() if not is_met] == [missed]


def test_growth_during_the_warm_up_does_not_count():
    assert met(soak(files=lambda block: min(20 + block, 30)))["file_growth"]


def test_the_report_names_figures_and_kinds():
    report = render(soak(), seconds=600)
    assert "20000 requests in 10 minutes" in report
    assert "| PNG, raw | 20000 |" in report


def test_errands_are_the_same_every_time_and_of_every_kind():
    picture = read_picture(EXAMPLES / "fluorescence_tissue.png")
    errands = list(make_errands(picture, count=3000))
    assert errands == list(make_errands(picture, count=3000))
    kinds = Counter(errand.kind for errand in errands)
    images = sum(count for kind, count in kinds.items() if kind.split(", ")[-1] in {"raw", "multipart", "base64"})
    assert 0.88 < images / 3000 < 0.92
    assert {"PNG, raw", "TIFF of 16 bits, base64", "NPY, multipart", "submission", "question"} <= set(kinds)
    assert {"hung up while sending", "hung up while waiting", "refused, 413", "refused, 405"} <= set(kinds)
    assert len({errand.path for errand in errands if errand.kind == "PNG, raw"}) >= 5
