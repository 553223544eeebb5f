"""A COCO data set of one image: its objects as annotations with run lengths, boxes and, of a network, scores."""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from monolayer_core.column_runs import find_column_runs
from monolayer_core.rle import encode_coco_runs
from monolayer_core.row_runs import RowRuns


def encode_coco_dataset(
    file_name: str,
    runs: RowRuns,
    records: Iterable[Mapping[str, Any]],
    class_names: Sequence[str],
    *,
    check: Callable[[], None] = lambda: None,
) -> bytes:
    """Write the objects of an image as pycocotools loads them, as a truth and, where they have scores, as results.

    Parameters
    ----------
    file_name : str
        Of the image, whose `id` is 1; programs look the image up by it.
    runs : RowRuns
        Objects 1 to N.
    records : iterable of mapping
        What is known of each, as `object_columns.records_of` gives it.
    class_names : sequence of str
        The categories, numbered from 1.
    check : callable
        Called again and again while the run lengths are made; what it raises ends the work.

    Returns
    -------
    bytes
        UTF-8. The `segmentation` of each annotation is compressed run lengths, its `bbox` x, y, width, height; it has a
        `score` where the objects have one.
    """
    category_of = {name: number for number, name in enumerate(class_names, start=1)}
    image = {"id": 1, "file_name": file_name, "height": runs.height, "width": runs.width}
    categories = [{"id": number, "name": name, "supercategory": "object"} for name, number in category_of.items()]
    encoded = encode_coco_runs(find_column_runs(runs, check=check), check=check)
    body = io.BytesIO()
    body.write(f'{{"info":{{}},"licenses":[],"images":[{_text(image)}],"annotations":['.encode())
    separator = b""
    for record, counts in zip(records, encoded, strict=True):
        box = record["bbox"]
        annotation = {
            "id": record["id"],
            "image_id": 1,
            "category_id": category_of[record["class"]],
            "segmentation": {"size": [runs.height, runs.width], "counts": counts},
            "area": record["area_px"],
            "bbox": [box["x"], box["y"], box["width"], box["height"]],
            "iscrowd": 0,
            **({} if record["score"] is None else {"score": record["score"]}),
        }
        body.write(separator + _text(annotation).encode())
        separator = b","
    body.write(f'],"categories":[{",".join(map(_text, categories))}]}}'.encode())
    return body.getvalue()


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
