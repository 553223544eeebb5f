"""Answers that were kept in files: where they are, and what they hold."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from monolayer_client.errors import InputError
from monolayer_client.outputs import SUMMARY_COLUMNS, OutputForm
from monolayer_client.user_tables import read_table

CONFLUENCY_SUFFIX = ".confluency.json"
"""End of the name of an answer with numbers alone; that of one with objects ends with ``.json``."""

_OTHER_JSON = (CONFLUENCY_SUFFIX, OutputForm.coco.suffix)


def find_answers(inputs: Iterable[Path], *, with_objects: bool = False) -> list[Path]:
    """Find the answers that `monolayer segment` and `confluency` wrote: files, and those in folders, by name.

    Parameters
    ----------
    inputs
        Files are taken as they are named, folders are looked into.
    with_objects
        Whether only answers that list objects are looked for in folders. Else both kinds are; where a folder holds both
        of one image, that with objects is taken.

    Raises
    ------
    InputError
        One of the inputs does not exist, or a folder holds no answer.
    """
    found: dict[Path, None] = {}
    for path in inputs:
        if path.is_dir():
            answers = _in_folder(path, with_objects=with_objects)
            if not answers:
                kinds = "monolayer segment" if with_objects else "monolayer segment or confluency"
                raise InputError(f"{path} holds no answers NAME.json of {kinds}")
            found |= dict.fromkeys(answers)
        elif path.is_file():
            found[path] = None
        else:
            raise InputError(f"{path} does not exist")
    return list(found)


def _in_folder(folder: Path, *, with_objects: bool) -> list[Path]:
    files = sorted(folder.glob("*.json"))
    numbers = [file for file in files if file.name.endswith(CONFLUENCY_SUFFIX)]
    objects = {file.name.removesuffix(".json"): file for file in files if not file.name.endswith(_OTHER_JSON)}
    if with_objects:
        return list(objects.values())
    of_images = {file.name.removesuffix(CONFLUENCY_SUFFIX): file for file in numbers} | objects
    return [of_images[name] for name in sorted(of_images)]


def read_answer(path: Path) -> dict[str, Any]:
    """Read an answer as a command wrote it.

    Raises
    ------
    InputError
        The file holds something else.
    """
    try:
        answer = json.loads(path.read_bytes())
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "confluency" not in answer:
        raise InputError(
            f"{path} holds no answer of the service; `segment` and `confluency` replace it with --overwrite"
        )
    return answer


def read_summary(path: Path) -> list[dict[str, Any]]:
    """Read the table with one row per image that a command wrote, as answers without what the table leaves out.

    Raises
    ------
    InputError
        The file holds something else.
    """
    columns, rows = read_table(path)
    if not set(SUMMARY_COLUMNS) <= set(columns):
        raise InputError(f"{path} is no summary of `segment` or `confluency`: give the folder of their results")
    answers = []
    for line, row in rows:
        try:
            percent, count = float(row["confluency_percent"]), int(row["count"])
        except ValueError:
            raise InputError(f"{path}, line {line}: confluency_percent and count must be numbers") from None
        answers.append(
            {
                "image_id": row["image_id"],
                "confluency": {"percent": percent, "of": row["confluency_of"]},
                "count": count,
                "method": row["method"],
                "model": {"name": row["model"], "version": row["model_version"]} if row["model"] else None,
                "quality": {"flags": row["quality_flags"].split()},
            }
        )
    return answers
