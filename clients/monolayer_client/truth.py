"""The truth that a submission is scored against: a solution table, masks in Kaggle's layout, or label images."""

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from monolayer_client.errors import InputError
from monolayer_client.file_sources import by_stem, is_image, open_source
from monolayer_client.image_files import highest, lying_in
from monolayer_client.image_pixels import read_labels, read_masks
from monolayer_core.runs import Runs, find_runs
from monolayer_core.submission import read_solution


@dataclass(frozen=True)
class Truth:
    """True objects, read image by image when asked for; `image_ids` says of which images there are any."""

    image_ids: tuple[str, ...]
    read: Callable[[str], Runs]


@dataclass(frozen=True)
class SplitRow:
    """One image of a split table; `group` and `modality` are None where the table has no such column."""

    side: str
    group: str | None
    modality: str | None


def open_truth(path: Path) -> Truth:
    """Open a solution table (``.csv``), or a folder or zip archive of masks or label images.

    ``ImageId/masks/*.png`` is one file per object. Anything else are label images: those in the folder ``labels``, else
    those that lie highest; each is called by its file name without suffix.

    Raises
    ------
    InputError
        There is nothing of the kind.
    SubmissionError
        The solution table is malformed.
    """
    if path.suffix.lower() == ".csv":
        solution = read_solution(path)
        return Truth(tuple(solution), solution.__getitem__)
    source = open_source(path)
    images = [name for name in source.names if is_image(name)]
    masks = _masks_by_image(images)
    if masks:
        return Truth(tuple(masks), lambda image_id: find_runs(read_masks(source, masks[image_id])))
    labels = by_stem(source, lying_in(images, "labels") or highest(images))
    if not labels:
        raise InputError(f"{path} holds neither masks nor label images")
    return Truth(tuple(labels), lambda image_id: find_runs(read_labels(source, labels[image_id])))


def read_split(path: Path) -> dict[str, SplitRow]:
    """Read which side of a split each image is on: a table with the columns ``ImageId`` and ``split``.

    Raises
    ------
    InputError
        It is no such table.
    """
    rows = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if not row.get("ImageId") or not row.get("split"):
                raise InputError(f"{path} needs the columns ImageId and split, and a value in each row")
            rows[row["ImageId"]] = SplitRow(row["split"], row.get("group") or None, row.get("modality") or None)
    return rows


def choose_images(truth: Truth, split: Mapping[str, SplitRow] | None, side: str | None) -> Sequence[str]:
    """Choose the images to score: all of the truth, or those on one side of a split.

    Raises
    ------
    InputError
        The split knows no such side, or the truth lacks an image of it.
    """
    if split is None or side is None:
        return truth.image_ids
    chosen = [image_id for image_id, row in split.items() if row.side == side]
    if not chosen:
        sides = ", ".join(sorted({row.side for row in split.values()}))
        raise InputError(f"the split has no images on side {side!r}; it has {sides}")
    known = set(truth.image_ids)
    lacking = [image_id for image_id in chosen if image_id not in known]
    if lacking:
        raise InputError(f"the truth lacks {len(lacking)} images of the split, such as {lacking[0]}")
    return chosen


def _masks_by_image(names: Sequence[str]) -> dict[str, list[str]]:
    masks: defaultdict[str, list[str]] = defaultdict(list)
    for name in lying_in(names, "masks"):
        parts = PurePosixPath(name).parts
        if len(parts) >= 3:
            masks[parts[-3]].append(name)
    return dict(masks)
