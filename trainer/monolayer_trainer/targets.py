"""What the network is to answer, made from an instance label image.

For instances: background, interior of each class, and the boundary between touching objects, which is what separates
them again. For semantic masks: background and the classes. Boundary pixels lie inside objects, so the union of classes
and boundary is exactly the foreground.
"""

from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from monolayer_core.arrays import LabelImage
from monolayer_core.model_card import Output

BOUNDARY_WINDOW_PX = 5
_LARGEST = np.float32(2**24)  # float32 holds every whole number up to here


class TargetSpec(BaseModel):
    """Kind of answer, names of the classes, and whether the distance to the edge is learned too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["instances", "semantic"] = "instances"
    classes: Annotated[tuple[str, ...], Field(min_length=1)] = ("object",)
    distance: bool = Field(True, description="learn the distance to the object's edge, the seed map of instances")

    @model_validator(mode="after")
    def _check(self) -> "TargetSpec":
        if self.kind == "semantic" and self.distance:
            raise ValueError("a semantic target has no objects and therefore no distance: set distance to false")
        return self


def outputs(spec: TargetSpec) -> tuple[Output, ...]:
    """Give the outputs of the network in the order of the card: the classes, the boundary, the distance."""
    names = [Output(name=name, role="class") for name in spec.classes]
    if spec.kind == "instances":
        names.append(Output(name="boundary", role="boundary"))
    if spec.distance:
        names.append(Output(name="distance", role="distance"))
    return tuple(names)


def make_targets(
    labels: LabelImage, object_classes: npt.NDArray[np.integer], spec: TargetSpec
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Targets of one crop, at the scale at which the network sees it.

    Parameters
    ----------
    labels
        int32 ``(y, x)``: 0 background, 1 to N objects; not every number need occur.
    object_classes
        Class index of object 1 to N.
    spec
        What the network is to answer.

    Returns
    -------
    class_index
        uint8 ``(y, x)``: 0 background, 1 to C inside an object of that class, and for instances C + 1 on the boundary
        between touching objects: pixels of an object whose 5 x 5 surroundings hold another object too.
    distance
        float32 ``(y, x)``, 0 to 1: distance to the object's edge divided by the largest in that object; zero everywhere
        where the spec asks for none.

    Examples
    --------
    >>> spec = TargetSpec(classes=("nucleus",), distance=False)
    >>> make_targets(np.array([[0, 1, 1, 1, 1, 2, 2]], np.int32), np.array([0, 0]), spec)[0]
    array([[0, 1, 1, 2, 2, 2, 2]], dtype=uint8)
    """
    class_of = np.zeros(len(object_classes) + 1, np.uint8)
    class_of[1:] = np.asarray(object_classes) + 1
    class_index = class_of[labels]
    if spec.kind == "instances":
        class_index[touching(labels, BOUNDARY_WINDOW_PX)] = len(spec.classes) + 1
    distance = normalized_distance(labels) if spec.distance else np.zeros(labels.shape, np.float32)
    return class_index, distance


def touching(labels: LabelImage, window_px: int) -> npt.NDArray[np.bool_]:
    """Pixels of objects whose square surroundings of `window_px` hold another object too; bool ``(y, x)``."""
    kernel = np.ones((window_px, window_px), np.uint8)
    values = labels.astype(np.float32)
    inside = values > 0
    largest = cv2.dilate(values, kernel)
    smallest = _LARGEST - cv2.dilate(np.where(inside, _LARGEST - values, 0), kernel)
    seen: npt.NDArray[np.bool_] = inside & (largest != smallest)
    return seen


def normalized_distance(labels: LabelImage) -> npt.NDArray[np.float32]:
    """Distance to the edge of each object divided by the largest in the object; float32 ``(y, x)``, 0 to 1."""
    distance = edge_distance(labels)
    where = np.flatnonzero(labels)
    numbers, values = labels.ravel()[where], distance.ravel()[where]
    largest = np.ones(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(largest, numbers, values)
    distance.ravel()[where] = values / largest[numbers]
    return distance


def edge_distance(labels: LabelImage) -> npt.NDArray[np.float32]:
    """Distance of each pixel of an object to the nearest pixel outside it.

    A touching neighbour is outside, as background is; the frame of the image is not an edge. Two distance transforms
    of the whole image serve all objects: one to the background, one to the pixels where objects touch. The second is
    exact along rows and columns and up to 0.6 pixels too large at a slant.

    Parameters
    ----------
    labels
        int32 ``(y, x)``.

    Returns
    -------
    ndarray
        float32 ``(y, x)``, in pixels; zero in the background. Where nothing is outside (one object fills the image) the
        value is the same everywhere and at least 1.
    """
    inside = labels > 0
    distance = np.asarray(cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
    contact = _contact(labels, inside)
    if contact.any():
        # The transform is zero in the last pixel of an object; the first one outside is one step further.
        to_contact = cv2.distanceTransform((~contact).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        np.minimum(distance, to_contact + 1, out=distance, where=inside)
    return distance


def _contact(labels: LabelImage, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels with a pixel of another object to the left, right, above or below."""
    contact = np.zeros(labels.shape, np.bool_)
    across = (labels[:, 1:] != labels[:, :-1]) & inside[:, 1:] & inside[:, :-1]
    contact[:, 1:] |= across
    contact[:, :-1] |= across
    down = (labels[1:] != labels[:-1]) & inside[1:] & inside[:-1]
    contact[1:] |= down
    contact[:-1] |= down
    return contact
