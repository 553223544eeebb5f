"""The three kinds of labelled images that what an answer says of itself is measured on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monolayer_core.arrays import Pixels
from monolayer_core.image_io import decode_image
from monolayer_core.levels import DEFAULT_SPEC
from monolayer_core.model_card import NormalizationSpec
from monolayer_trainer.dataset import Dataset
from monolayer_trainer.groups import read_groups


@dataclass(frozen=True)
class InputSpec:
    """What the network of a kind of images is to see."""

    channels: Literal["grey", "rgb"]
    normalization: NormalizationSpec = DEFAULT_SPEC


@dataclass(frozen=True)
class Picture:
    """An image that is read when it is needed; `subset` is empty where the set knows no split."""

    group: str
    modality: str
    subset: str
    read: Callable[[], Pixels]


def read_prepared(folder: Path) -> list[Picture]:
    """The images of a prepared data set with its split."""
    dataset = Dataset.load(folder)
    return [
        Picture(sample.group, sample.modality, subset, lambda sample=sample: dataset.read(sample)[0])
        for subset in ("train", "validation")
        for sample in dataset.subset(subset)
    ]


def read_folder(folder: Path, modality: str, groups: Path | None = None) -> list[Picture]:
    """The PNG images of a folder; pairs that belong together may be listed in a table."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise SystemExit(f"{folder} holds no PNG images")
    group_of = {path.stem: (path.stem, modality) for path in paths}
    if groups is not None:
        group_of = read_groups(groups, [path.stem for path in paths])
    return [
        Picture(group_of[path.stem][0], modality, "", lambda path=path: decode_image(path.read_bytes()).pixels)
        for path in paths
    ]
