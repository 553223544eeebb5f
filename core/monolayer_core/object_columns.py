"""What an answer says of each object, column by column; the one list that all forms of answers are made from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from monolayer_core.measure import Measurements

DECIMALS = 4
"""Of pixels, scores and micrometres in answers: finer than anything that was measured."""

ObjectColumn: TypeAlias = Union[npt.NDArray[Any], "ObjectColumns"]
"""Values of one name, one row an object, or the columns that it is made of."""

ObjectColumns: TypeAlias = Mapping[str, ObjectColumn]


def object_columns(
    measured: Measurements,
    class_ids: npt.NDArray[np.integer],
    class_names: Sequence[str],
    scores: npt.NDArray[np.floating] | None,
    *,
    shapes: bool,
) -> ObjectColumns:
    """Put together what is known of N objects, with the names and the nesting of the JSON answer.

    Parameters
    ----------
    measured : Measurements
        Of all objects.
    class_ids : (object,)
        Index of each object's class in `class_names`.
    scores : (object,) or None
        0 to 1; None where there are none: the column is then NaN.
    shapes : bool
        Whether to add diameter, eccentricity, solidity and mean intensity, as far as they are measured.

    Returns
    -------
    Columns of integers, of floats rounded to `DECIMALS`, and the names of the classes.
    """
    y, x, height, width = measured.bbox_px.T
    centroid_y, centroid_x = _rounded(measured.centroid_px.T)
    columns: dict[str, ObjectColumn] = {
        "id": np.arange(1, len(measured) + 1),
        "class": np.array(class_names, dtype=object)[class_ids],
        "score": np.full(len(measured), np.nan) if scores is None else _rounded(scores),
        "bbox": {"y": y, "x": x, "height": height, "width": width},
        "centroid": {"y": centroid_y, "x": centroid_x},
        "area_px": measured.area_px,
    }
    optional = {"area_um2": measured.area_um2}
    if shapes:
        optional |= {
            "equivalent_diameter_px": measured.equivalent_diameter_px,
            "equivalent_diameter_um": measured.equivalent_diameter_um,
            "eccentricity": measured.eccentricity,
            "solidity": measured.solidity,
            "mean_intensity": measured.mean_intensity,
        }
    return columns | {name: _rounded(values) for name, values in optional.items() if values is not None}


def records_of(columns: ObjectColumns) -> Iterator[dict[str, Any]]:
    """Give the objects one by one: plain values by name, nested as the columns are; NaN is None.

    Examples
    --------
    >>> list(records_of({"id": np.array([1, 2]), "at": {"x": np.array([0.5, np.nan])}}))
    [{'id': 1, 'at': {'x': 0.5}}, {'id': 2, 'at': {'x': None}}]
    """
    parts = [records_of(column) if isinstance(column, Mapping) else _values(column) for column in columns.values()]
    return (dict(zip(columns, row, strict=True)) for row in zip(*parts, strict=True))


def _values(column: npt.NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f" and np.isnan(column).any():
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN alone is not itself
    return values


def _rounded(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.round(values, DECIMALS)
