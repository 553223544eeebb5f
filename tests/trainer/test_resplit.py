"""The same images with others held out."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from monolayer_trainer.cli.app import app
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.resplit import choose, write_resplit


@pytest.fixture
def dataset(disc_dataset, tmp_path) -> Dataset:
    """Six images: `a` to `d` grey, two to a group, `e` and `f` in two kinds of stain."""
    found = Dataset.load(disc_dataset(tmp_path, count=6, size=(32, 32), discs=1))
    places = [
        ("one", "grey"),
        ("one", "grey"),
        ("two", "grey"),
        ("two", "grey"),
        ("three", "stain_a"),
        ("x", "stain_b"),
    ]
    samples = tuple(
        sample.model_copy(update={"group": group, "modality": modality})
        for sample, (group, modality) in zip(found.samples, places, strict=True)
    )
    return found.model_copy(update={"samples": samples})


def numbers(dataset: Dataset, chosen: set[str]) -> list[int]:
    return [index for index, sample in enumerate(dataset.samples) if sample.id in chosen]


def test_kinds_are_chosen_by_pattern_and_groups_by_name(dataset):
    assert numbers(dataset, choose(dataset, modalities=["stain*"])) == [4, 5]
    assert numbers(dataset, choose(dataset, groups=["two"])) == [2, 3]
    assert numbers(dataset, choose(dataset, modalities=["stain_b"], groups=["one", "two"])) == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"modalities": ["stain*", "x-ray"]}, "no image is of the kind 'x-ray'; there are: grey, stain_a, stain_b"),
        ({"groups": ["four", "one"]}, "there is no group 'four'"),
        ({}, "0 of 6 images would be held out"),
        ({"modalities": ["*"]}, "6 of 6 images would be held out"),
    ],
)
def test_what_chooses_nothing_or_everything_is_an_error(dataset, choice, message):
    with pytest.raises(DatasetError, match=message.replace("*", r"\*")):
        choose(dataset, **choice)


def test_the_new_data_set_has_the_pixels_of_the_old_one_and_its_own_split(dataset, tmp_path):
    folder = write_resplit(dataset, tmp_path / "probe", choose(dataset, groups=["two"]))
    probe = Dataset.load(folder)
    assert numbers(dataset, {sample.id for sample in probe.subset("validation")}) == [2, 3]
    for before, after in zip(dataset.samples, probe.samples, strict=True):
        for one, other in zip(dataset.read(before), probe.read(after), strict=True):
            np.testing.assert_array_equal(one, other)
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "split.csv"]


def test_the_command_says_how_many_images_it_holds_out(disc_dataset, tmp_path):
    data = disc_dataset(tmp_path, count=4, size=(32, 32), discs=1)
    groups = tmp_path / "groups.txt"
    groups.write_text("\n".join(sample.group for sample in Dataset.load(data).samples[:3]))
    probe = tmp_path / "probe"
    done = CliRunner().invoke(app, ["resplit", str(data), str(probe), "--groups", str(groups)])
    assert done.exit_code == 0, done.output
    assert "3 of 4 images are held out" in done.output
    assert len(Dataset.load(probe).subset("validation")) == 3
    refused = CliRunner().invoke(app, ["resplit", str(data), str(probe), "--modalities", "x-ray"])
    assert refused.exit_code == 1
    assert "no image is of the kind 'x-ray'" in refused.output


def test_help_is_there():
    assert "Hold out whole kinds" in CliRunner().invoke(app, ["resplit", "--help"], env={"COLUMNS": "200"}).output


def test_images_stay_where_they_are(dataset, tmp_path):
    probe = Dataset.load(write_resplit(dataset, tmp_path / "probe", {dataset.samples[0].id}))
    assert Path(probe.samples[0].image) == (dataset.folder / dataset.samples[0].image).resolve()
