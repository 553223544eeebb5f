"""The split keeps groups together and kinds apart evenly."""

import csv
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_trainer.split import split_by_group


def names(count: int) -> list[str]:
    return [f"image{i:03d}" for i in range(count)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=1, max_size=40),
    st.sampled_from([0.1, 0.2, 0.3, 0.5]),
    st.integers(0, 3),
)
def test_no_group_ever_stands_on_both_sides(images: list[tuple[int, str]], fraction: float, seed: int):
    ids = names(len(images))
    groups = [str(group) for group, _ in images]
    side_of = split_by_group(ids, groups, [kind for _, kind in images], fraction, seed)
    assert set(side_of) == set(ids)
    sides = {group: {side_of[i] for i, g in zip(ids, groups, strict=True) if g == group} for group in groups}
    assert all(len(found) == 1 for found in sides.values())
    assert len(set(side_of.values())) == min(len(set(groups)), 2), "two groups are enough for two sides"


def test_single_images_are_split_exactly_and_every_kind_in_proportion():
    ids = names(100)
    kinds = ["common"] * 80 + ["rare"] * 20
    side_of = split_by_group(ids, ids, kinds, 0.2, 0)
    held_out = Counter(kind for name, kind in zip(ids, kinds, strict=True) if side_of[name] == "validation")
    assert held_out == {"common": 16, "rare": 4}


def test_thirty_percent_is_three_folds_of_ten():
    ids = names(50)
    side_of = split_by_group(ids, ids, ["one kind"] * 50, 0.3, 0)
    assert Counter(side_of.values()) == {"train": 35, "validation": 15}


def test_the_seed_decides():
    ids = names(40)
    splits = [split_by_group(ids, ids, ["one kind"] * 40, 0.2, seed) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize(
    ("groups", "fraction", "held_out"),
    [
        pytest.param(["a"] * 5, 0.2, 0, id="one group cannot be divided"),
        pytest.param(["a", "b", "c"], 0.0, 0, id="nothing asked for"),
        pytest.param(["a", "b"], 0.01, 1, id="a tiny fraction still holds out one group"),
        pytest.param(["a", "b"], 0.99, 1, id="a huge fraction still trains on one group"),
        pytest.param([], 0.2, 0, id="no images at all"),
    ],
)
def test_small_sets(groups: list[str], fraction: float, held_out: int):
    side_of = split_by_group(names(len(groups)), groups, ["kind"] * len(groups), fraction, 0)
    assert sum(side == "validation" for side in side_of.values()) == held_out


@pytest.mark.parametrize(
    ("ids", "groups", "fraction", "message"),
    [
        (["a", "b"], ["g"], 0.2, "do not fit"),
        (["a", "a"], ["g", "h"], 0.2, "twice"),
        (["a", "b"], ["g", "h"], 1.0, "validation_fraction"),
    ],
)
def test_nonsense_is_refused(ids: list[str], groups: list[str], fraction: float, message: str):
    with pytest.raises(ValueError, match=message):
        split_by_group(ids, groups, ["kind"] * len(ids), fraction, 0)


def test_the_real_images_are_split_by_field_with_every_modality_on_both_sides(dsb2018):
    with (dsb2018 / "image_groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    side_of = split_by_group(
        [row["ImageId"] for row in rows], [row["group"] for row in rows], [row["modality"] for row in rows], 0.2, 0
    )
    sides_of_group = {(row["group"], side_of[row["ImageId"]]) for row in rows}
    assert len(sides_of_group) == len({group for group, _ in sides_of_group}) == 205
    held_out = Counter(row["modality"] for row in rows if side_of[row["ImageId"]] == "validation")
    assert held_out == {
        "fluorescence": 87,
        "histology_purple_bg": 12,
        "histology_white_bg": 6,
        "brightfield_gray": 3,
    }
