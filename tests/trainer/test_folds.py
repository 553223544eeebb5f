"""Folds keep groups together and kinds apart evenly, and a table that is there is taken as it is."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.folds import deal_folds, folds_of, write_folds
from monolayer_trainer.tables import read_rows, write_rows


def dataset(images: list[tuple[str, str]]) -> Dataset:
    """Of images with group and modality; nothing of it is on a disk."""
    samples = tuple(
        Sample(id=f"image{i:03d}", image="", labels="", group=group, modality=modality, objects=0)
        for i, (group, modality) in enumerate(images)
    )
    return Dataset(
        folder=Path("nowhere"), name="x", licence="", source="", classes=("cell",), confluency_of="cell",
        samples=samples, pixels_per_class=(0, 0),
    )  # fmt: skip


SIX = dataset([("a", "x"), ("a", "x"), ("b", "x"), ("b", "x"), ("c", "x"), ("c", "x")])


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xy")), min_size=1, max_size=40),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_every_image_lies_in_one_fold_and_every_group_too(images: list[tuple[int, str]], count: int, seed: int):
    drawn = dataset([(str(group), kind) for group, kind in images])
    if len({group for group, _ in images}) < count:
        with pytest.raises(DatasetError, match="too few"):
            deal_folds(drawn, count, seed)
        return
    fold_of = deal_folds(drawn, count, seed)
    assert list(fold_of) == [sample.id for sample in drawn.samples]
    assert set(fold_of.values()) == set(range(1, count + 1)), "no fold is empty"
    assert len({(sample.group, fold_of[sample.id]) for sample in drawn.samples}) == len({group for group, _ in images})


def test_single_images_are_dealt_exactly_and_every_kind_in_proportion():
    drawn = dataset([(str(i), "rare" if i % 4 == 0 else "common") for i in range(40)])
    fold_of = deal_folds(drawn, 5, 0)
    dealt = Counter((fold_of[sample.id], sample.modality) for sample in drawn.samples)
    assert dealt == {(fold, kind): n for fold in range(1, 6) for kind, n in (("rare", 2), ("common", 6))}


def test_the_seed_decides():
    drawn = dataset([(str(i), "x") for i in range(40)])
    first, again, other = (deal_folds(drawn, 5, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_folds_are_dealt_once_and_read_afterwards(tmp_path):
    path = tmp_path / "run" / "folds.csv"
    dealt = folds_of(path, SIX, 3, 0)
    rows = read_rows(path)
    assert rows[0] == {"ImageId": "image000", "group": "a", "modality": "x", "fold": str(dealt["image000"])}
    changed = {image_id: 4 - fold for image_id, fold in dealt.items()}
    write_folds(path, SIX, changed)
    assert folds_of(path, SIX, None, 0) == folds_of(path, SIX, 3, 1) == changed


@pytest.mark.parametrize(
    ("folds", "count", "message"),
    [
        (["1", "1", "2", "2", "3", "3"], 5, "has 3 folds, not 5"),
        (["1", "2", "2", "2", "3", "3"], None, "group a lie in several folds"),
        (["1", "1", "2", "2", "4", "4"], None, "without gaps"),
        (["1", "1", "1", "1", "1", "1"], None, "two or more"),
        (["0", "0", "1", "1", "2", "2"], None, "from 1"),
        (["1", "1", "2", "2", "x", "3"], None, "line 6: needs"),
        (["1", "1", "2", "2", "3"], None, "image005 is in one only"),
        (["1", "1", "2", "2", "3", "3", "3"], None, "image006 is in one only"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, folds, count, message):
    path = tmp_path / "folds.csv"
    write_rows(path, [{"ImageId": f"image{i:03d}", "fold": fold} for i, fold in enumerate(folds)])
    with pytest.raises(DatasetError, match=message):
        folds_of(path, SIX, count, 0)


def test_an_image_named_twice_is_refused(tmp_path):
    path = tmp_path / "folds.csv"
    write_rows(path, [{"ImageId": "image000", "fold": "1"}] * 2)
    with pytest.raises(DatasetError, match="image000 is named twice"):
        folds_of(path, SIX, None, 0)


def test_one_fold_is_none():
    with pytest.raises(DatasetError, match="two folds or more"):
        deal_folds(SIX, 1, 0)
