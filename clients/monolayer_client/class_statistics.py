"""How many objects of each class many answers hold, and how large they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monolayer_client.answer_files import read_answer
from monolayer_client.errors import InputError

Areas = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Of some values: their number, mean, median and sample standard deviation, which is None for a single value."""

    count: int
    mean: float
    median: float
    sd: float | None


@dataclass(frozen=True, eq=False)
class ClassObjects:
    """Objects of one class in all answers.

    Attributes
    ----------
    name : str
        Of the class.
    areas_px : float64 (object,)
        Pixels of each.
    areas_um2 : float64 (object,)
        Square micrometres of those in images whose pixel size is known.
    """

    name: str
    areas_px: Areas
    areas_um2: Areas

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.areas_px)


def read_objects(paths: Iterable[Path]) -> list[ClassObjects]:
    """Read the objects of all answers, class by class in the order in which the models name them.

    Raises
    ------
    InputError
        A file holds no answer with objects.
    """
    px: dict[str, list[float]] = {}
    um2: dict[str, list[float]] = {}
    for path in paths:
        answer = read_answer(path)
        try:
            for name in answer["counts"]:
                px.setdefault(name, [])
            for instance in answer["instances"]:
                px.setdefault(instance["class"], []).append(float(instance["area_px"]))
                if instance.get("area_um2") is not None:
                    um2.setdefault(instance["class"], []).append(float(instance["area_um2"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(f"{path} lists no objects: it is no answer of monolayer segment") from None
    return [ClassObjects(name, _array(areas), _array(um2.get(name, []))) for name, areas in px.items()]


def spread(values: Areas) -> Spread | None:
    """Describe values; None where there are none.

    Examples
    --------
    >>> spread(np.array([1.0, 2.0, 6.0]))
    Spread(count=3, mean=3.0, median=2.0, sd=2.6457513110645907)
    """
    if not len(values):
        return None
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return Spread(len(values), float(values.mean()), float(np.median(values)), sd)


def ratios(classes: Sequence[ClassObjects]) -> Mapping[str, float | None]:
    """Objects of the first class over objects of the second, for each pair; None where there are none of the second."""
    return {
        f"{first.name}:{second.name}": first.count / second.count if second.count else None
        for first, second in combinations(classes, 2)
    }


def _array(values: list[Any]) -> Areas:
    return np.array(values, np.float64)
