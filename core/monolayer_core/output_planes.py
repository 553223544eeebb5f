"""A network's outputs by what they mean, as its card names them."""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import Probabilities
from monolayer_core.errors import PredictionError
from monolayer_core.model_card import ModelCard

_ROLES: tuple[Literal["boundary", "distance"], ...] = ("boundary", "distance")


class OutputPlanes(NamedTuple):
    """A network's answer by what it means; all uint8 ``(y, x)``, 0 to 255 standing for 0 to 1.

    Attributes
    ----------
    inside : list of uint8 (y, x)
        One plane a class.
    foreground : uint8 (y, x)
        Sum of all classes and the boundary.
    boundary : uint8 (y, x) or None
    seed_map : uint8 (y, x)
        High inside objects, low where they touch: the classes less the boundary, or where the network tells the
        distance too, the mean of the two. Either errs by itself: the one leaves bridges where a boundary has gaps, the
        other cuts long objects at their waists.
    """

    inside: list[npt.NDArray[np.uint8]]
    foreground: npt.NDArray[np.uint8]
    boundary: npt.NDArray[np.uint8] | None
    seed_map: npt.NDArray[np.uint8]


def split_outputs(probabilities: Probabilities, card: ModelCard) -> OutputPlanes:
    """Tell the outputs of a network apart, as its card says.

    Raises
    ------
    PredictionError
        The probabilities are not uint8 or not those of the card.
    """
    if probabilities.dtype != np.uint8 or probabilities.ndim != 3 or probabilities.shape[2] != len(card.outputs):
        raise PredictionError(
            f"{probabilities.dtype} {probabilities.shape} are not the {len(card.outputs)} outputs of the model card"
        )
    planes = [np.ascontiguousarray(probabilities[..., i]) for i in range(len(card.outputs))]
    inside = [plane for plane, output in zip(planes, card.outputs, strict=True) if output.role == "class"]
    boundary, distance = (_chosen(planes, card.output_index(role)) for role in _ROLES)
    foreground = foreground_of(inside, boundary)
    seed_map = foreground
    if boundary is not None:
        seed_map = np.asarray(cv2.subtract(foreground_of(inside, None), boundary), dtype=np.uint8)
    if distance is not None:
        seed_map = np.asarray(cv2.addWeighted(seed_map, 0.5, distance, 0.5, 0), dtype=np.uint8)
    return OutputPlanes(inside, foreground, boundary, seed_map)


def foreground_of(
    inside: Sequence[npt.NDArray[np.uint8]], boundary: npt.NDArray[np.uint8] | None
) -> npt.NDArray[np.uint8]:
    """Sum the planes of all classes and of the boundary, where there is one; see `OutputPlanes`."""
    return functools.reduce(_saturating_sum, [*inside, *([] if boundary is None else [boundary])])


def _chosen(planes: list[npt.NDArray[np.uint8]], index: int | None) -> npt.NDArray[np.uint8] | None:
    return None if index is None else planes[index]


def _saturating_sum(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Sum probabilities; what rounding carries above 255 stays 255."""
    return np.asarray(cv2.add(a, b), dtype=np.uint8)
