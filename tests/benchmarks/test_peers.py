"""What the comparison with peers reads and starts."""

import numpy as np
import pytest
from benchmarks.peers.alternatives import encode_by_pycocotools, encode_one
from benchmarks.peers.environments import REQUIREMENTS, Pin, read_pin
from benchmarks.peers.report import ceiling_table
from benchmarks.peers.rounds import agree
from benchmarks.peers.sides import APPS, OURS, OURS_ON_OPENVINO, SIDES

from monolayer_core.rle import encode_coco, encode_kaggle


def test_a_pin_names_version_licence_and_month():
    assert read_pin("a[b]==1.2  # MIT, 2026-09\nc==3\n") == Pin("a[b]", "1.2", "MIT", "2026-09")


@pytest.mark.parametrize("text", ["a", "a==1", "a==1  # MIT", "a>=1  # MIT, 2026-09"])
def test_a_pin_without_one_of_them_is_refused(text):
    with pytest.raises(ValueError, match="licence, month"):
        read_pin(text)


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_environment_pins_what_it_is_for(path):
    assert read_pin(path.read_text(encoding="utf-8")).version


def test_every_side_has_an_environment_and_its_program():
    assert [side.name for side in SIDES if not side.peer] == [OURS, OURS_ON_OPENVINO]
    for side in filter(lambda side: side.peer, SIDES):
        assert (REQUIREMENTS / f"{side.peer}.txt").exists()
        modules = [part.partition(":")[0].removesuffix(".py") for part in side.command]
        assert any((APPS / f"{module}.py").exists() for module in modules)


def test_only_another_runtime_may_find_other_outlines():
    objects, moved = [{"area_px": 5}, {"area_px": 7}], [{"area_px": 5}, {"area_px": 8}]
    assert [side.name for side in SIDES if not side.is_exact] == [OURS_ON_OPENVINO]
    assert agree(objects, objects, is_exact=True)
    assert not agree(moved, objects, is_exact=True)
    assert agree(moved, objects, is_exact=False)
    assert not agree(moved[:1], objects, is_exact=False)


def test_the_slow_ways_of_run_lengths_give_the_same():
    labels = np.array([[0, 1, 1, 0], [2, 0, 1, 0], [2, 2, 0, 3]], dtype=np.int32)

    assert (
        [encode_one(labels == label) for label in (1, 2, 3)] == encode_kaggle(labels) == ["4 1 7 2", "2 2 6 1", "12 1"]
    )
    assert encode_by_pycocotools(labels) == encode_coco(labels)


def test_the_ceiling_is_shown_as_a_ratio():
    line = {
        "kind": "int8",
        "side": 256,
        "onnxruntime": {"ms": 9.0, "cpu_ms": 18.0},
        "openvino": {"ms": 6.0, "cpu_ms": 9.0},
        "differing_share": 0.0012,
        "largest_difference": 3,
        "objects": [40, 41],
    }

    assert ceiling_table([line]).splitlines()[-1] == (
        "| int8 | 256² | 9.0 | 6.0 | 1.50 | 2.00 | 0.120 %, 3/255 | 40, 41 |"
    )
