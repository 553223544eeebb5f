"""Which images belong together, and which kind of picture each is, from a table.

Two forms of groups are read. ``ImageId,group,modality`` names the group of each image (further columns are ignored,
``modality`` may be left out). ``image_a,image_b`` lists pairs that show the same field; images connected by pairs
become a group. A table of modalities, ``ImageId,modality``, adds the kind of those images that it names, with or
without groups.
"""

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from monolayer_trainer.errors import DatasetError

UNKNOWN_MODALITY = "unknown"


def read_fields(ids: Sequence[str], groups: Path | None, modalities: Path | None) -> dict[str, tuple[str, str]]:
    """Group and modality of each image from the tables there are; without groups every image is a group of its own.

    Raises
    ------
    DatasetError
        As for `read_groups`, or the table of modalities names an image twice.
    """
    fields = (
        {image_id: (image_id, UNKNOWN_MODALITY) for image_id in ids} if groups is None else read_groups(groups, ids)
    )
    if modalities is None:
        return fields
    rows, columns = _read_table(modalities)
    if not {"ImageId", "modality"} <= columns:
        raise DatasetError(f"{modalities} needs the columns ImageId,modality")
    modality_of: dict[str, str] = {}
    for row in rows:
        image_id = row["ImageId"]
        if image_id in modality_of:
            raise DatasetError(f"{modalities} names {image_id} twice")
        modality_of[image_id] = row["modality"]
    return {image_id: (group, modality_of.get(image_id) or kind) for image_id, (group, kind) in fields.items()}


def read_groups(path: Path, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Group and modality of each image.

    Parameters
    ----------
    path
        The table, with a header.
    ids
        Images of the data set. In a list of pairs those not mentioned are groups of their own.

    Raises
    ------
    DatasetError
        The table is missing, has other columns, or does not name an image of the set.
    """
    rows, columns = _read_table(path)
    if {"image_a", "image_b"} <= columns:
        return _connect([(row["image_a"], row["image_b"]) for row in rows], ids)
    if not {"ImageId", "group"} <= columns:
        raise DatasetError(f"{path} needs the columns ImageId,group[,modality] or image_a,image_b")
    table = {row["ImageId"]: (row["group"], row.get("modality") or UNKNOWN_MODALITY) for row in rows}
    missing = [image_id for image_id in ids if image_id not in table]
    if missing:
        raise DatasetError(f"{path} does not name {len(missing)} images, among them {missing[0]}")
    return {image_id: table[image_id] for image_id in ids}


def _read_table(path: Path) -> tuple[list[dict[str, str]], set[str]]:
    """Rows and columns of a table with a header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            return list(reader), set(reader.fieldnames or ())
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing") from None


def _connect(pairs: list[tuple[str, str]], ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    leader = {image_id: image_id for image_id in ids}

    def lead(image_id: str) -> str:
        while leader[image_id] != image_id:
            image_id = leader[image_id]
        return image_id

    for pair in pairs:
        a, b = (PurePosixPath(name).stem for name in pair)
        if a in leader and b in leader:
            first, second = sorted((lead(a), lead(b)))
            leader[second] = first
    return {image_id: (lead(image_id), UNKNOWN_MODALITY) for image_id in ids}
