"""The service's answers as plain values.

Fields that a newer service adds do not disturb; the whole answer stays at hand in `raw`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from monolayer_core.arrays import LabelImage
from monolayer_core.rle import decode_coco, decode_kaggle, encode_kaggle

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Part = TypeVar("Part", bound="DataclassInstance")


@dataclass(frozen=True)
class Plane:
    """Which plane of its file an image is, counted from 0; None along axes that the file does not have.

    `z` is ``"max"`` where it is the maximum of all z planes. `series` counts the images that the file describes, None
    where it is one.
    """

    t: int | None
    channel: int | None
    channel_name: str | None
    z: int | Literal["max"] | None
    series: int | None = None
    series_name: str | None = None


@dataclass(frozen=True)
class ImageInfo:
    """The image as the service read it; `sha256` is that of the bytes sent.

    `axes` are those of the whole file, such as ``TZCYX``; `plane` is None where the file counts none.
    """

    height: int
    width: int
    channels: int
    dtype: str
    pixel_size_um: float | None
    sha256: str
    axes: str | None = None
    plane: Plane | None = None


@dataclass(frozen=True)
class ModelInfo:
    """The network that answered."""

    name: str
    version: str
    sha256: str
    provider: str


@dataclass(frozen=True)
class Confluency:
    """Share of the image that is covered: `percent` from 0 to 100, `of` cells, nuclei or objects.

    In 90 % of images like those the network was trained on the true percentage lies within `uncertainty_points` of
    `percent`; None where nothing of the kind is known.
    """

    percent: float
    of: str
    area_px: int
    area_um2: float | None
    uncertainty_points: float | None = None


@dataclass(frozen=True)
class Quality:
    """What is to be known of the image's quality; `numbers` are the measurements behind the flags."""

    flags: tuple[str, ...]
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class BoundingBox:
    """First row and column, and how many, in pixels of the image."""

    y: int
    x: int
    height: int
    width: int


@dataclass(frozen=True)
class Instance:
    """One object.

    Attributes
    ----------
    id : int
        Its label in `SegmentResult.labels`.
    class_name : str
        ``object`` under K-means.
    score : float or None
        Predicted IoU with the true object where the model's card says how, else the mean foreground probability inside
        the object; None under K-means.
    centroid : (float, float)
        y and x in pixels; the centre of the first pixel is (0, 0).
    rle : str, dict or None
        Run lengths: Kaggle's string, COCO's ``{"size", "counts"}``, or None where none were asked for.
    measurements : mapping
        Everything else the answer holds of the object, by name with its unit.
    """

    id: int
    class_name: str
    score: float | None
    bbox: BoundingBox
    centroid: tuple[float, float]
    area_px: int
    rle: str | dict[str, Any] | None
    measurements: Mapping[str, Any]


@dataclass(frozen=True)
class ConfluencyResult:
    """Numbers of one image.

    Attributes
    ----------
    method : str
        ``unet`` or ``kmeans``.
    model : ModelInfo or None
        None under K-means.
    fallback : str or None
        Why K-means answered in place of the network; None where it did not.
    counts : mapping
        Objects by class.
    ratios : mapping
        Objects of one class over those of another, by ``first:second``; None where there is none of the second. Empty
        where the model has one class.
    echo : mapping
        What the caller sent along.
    request_id : str or None
        What to quote when asking about this answer.
    raw : dict
        The whole answer.
    """

    image_id: str
    image: ImageInfo
    method: Literal["unet", "kmeans"]
    model: ModelInfo | None
    fallback: str | None
    confluency: Confluency
    count: int
    counts: Mapping[str, int]
    ratios: Mapping[str, float | None]
    quality: Quality
    echo: Mapping[str, str]
    request_id: str | None = field(compare=False)
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class SegmentResult(ConfluencyResult):
    """Numbers and objects of one image."""

    instances: tuple[Instance, ...]

    def labels(self) -> LabelImage:
        """Paint the objects into a label image ``(y, x)`` int32: 0 for background, else the `id` of the instance.

        Raises
        ------
        ValueError
            The answer has no run lengths because it was asked for with ``rle="none"``.
        """
        height, width = self.image.height, self.image.width
        encoded = [instance.rle for instance in self.instances]
        texts = [rle for rle in encoded if isinstance(rle, str)]
        counts = [rle["counts"] for rle in encoded if isinstance(rle, dict)]
        if len(texts) == len(encoded):
            order = decode_kaggle(texts, height, width)
        elif len(counts) == len(encoded):
            order = decode_coco(counts, height, width)
        else:
            raise ValueError('there are no run lengths in this answer: ask with rle="kaggle"')
        ids = np.array([0, *(instance.id for instance in self.instances)], dtype=np.int32)
        return ids[order]

    def kaggle_rows(self) -> list[str]:
        """Give one Kaggle run-length row per object, in the order of the instances.

        Raises
        ------
        ValueError
            The answer has no run lengths because it was asked for with ``rle="none"``.
        """
        rows = [instance.rle for instance in self.instances if isinstance(instance.rle, str)]
        if len(rows) == len(self.instances):
            return rows
        by_label = encode_kaggle(self.labels())
        return [by_label[instance.id - 1] for instance in self.instances]


def parse_confluency(answer: dict[str, Any], request_id: str | None = None) -> ConfluencyResult:
    """Read the answer of ``/v1/confluency``.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is not such an answer.
    """
    return ConfluencyResult(**_common(answer, request_id))


def parse_segment(answer: dict[str, Any], request_id: str | None = None) -> SegmentResult:
    """Read the answer of ``/v1/segment``.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is not such an answer.
    """
    return SegmentResult(
        **_common(answer, request_id),
        instances=tuple(_instance(instance) for instance in answer["instances"]),
    )


def _common(answer: dict[str, Any], request_id: str | None) -> dict[str, Any]:
    model, fallback, quality = answer["model"], answer["fallback"], dict(answer["quality"])
    return {
        "image_id": answer["image_id"],
        "image": _image(answer["image"]),
        "method": answer["method"],
        "model": None if model is None else _pick(ModelInfo, model),
        "fallback": None if fallback is None else fallback["reason"],
        "confluency": _pick(Confluency, answer["confluency"]),
        "count": int(answer["count"]),
        "counts": dict(answer["counts"]),
        "ratios": dict(answer.get("ratios") or {}),
        "quality": Quality(flags=tuple(quality.pop("flags")), numbers=quality),
        "echo": dict(answer.get("echo") or {}),
        "request_id": request_id,
        "raw": answer,
    }


def _image(values: Mapping[str, Any]) -> ImageInfo:
    plane = values.get("plane")
    return _pick(ImageInfo, {**values, "plane": None if plane is None else _pick(Plane, plane)})


def _pick(kind: type[Part], values: Mapping[str, Any]) -> Part:
    """Make a value of a class from the fields it knows; one that has a default may be missing."""
    needed = {known.name: known.default is MISSING for known in fields(kind)}
    return kind(**{name: values[name] for name, is_needed in needed.items() if is_needed or name in values})


def _instance(values: dict[str, Any]) -> Instance:
    rest = dict(values)
    centroid = rest.pop("centroid")
    return Instance(
        id=rest.pop("id"),
        class_name=rest.pop("class"),
        score=rest.pop("score"),
        bbox=_pick(BoundingBox, rest.pop("bbox")),
        centroid=(centroid["y"], centroid["x"]),
        area_px=rest.pop("area_px"),
        rle=rest.pop("rle", None),
        measurements=rest,
    )
