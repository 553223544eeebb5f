"""Numbers of wells from the fields that were imaged in them, and of conditions from their wells.

Fields of one well are parts of one culture: they tell how well its mean is known (the sampling error), not how cultures
differ. That is told by wells of the same condition, so a condition's figures are of the means of its wells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from monolayer_client.errors import InputError
from monolayer_client.places import Place
from monolayer_client.wells import Well

Measure = Literal["confluency_percent", "count"]
MEASURES: tuple[Measure, ...] = ("confluency_percent", "count")


@dataclass(frozen=True)
class Summary:
    """Of some values: how many, their mean, sample standard deviation, CV and the standard error of the mean.

    `sd`, `cv_percent` and `standard_error` are None for a single value, `cv_percent` also where the mean is 0.
    """

    number: int
    mean: float
    sd: float | None
    cv_percent: float | None
    standard_error: float | None


@dataclass(frozen=True)
class WellSummary:
    """One well: its plate, its condition and, for each measure, the summary of its fields."""

    plate: str
    well: Well
    condition: str
    of: Mapping[Measure, Summary]


@dataclass(frozen=True)
class ConditionSummary:
    """One condition on one plate: its wells, how many fields they have, and the summaries of the wells' means."""

    plate: str
    condition: str
    wells: Sequence[Well]
    fields: int
    of: Mapping[Measure, Summary]


def summarise(values: Sequence[float]) -> Summary:
    """Summarise at least one value.

    Examples
    --------
    >>> summarise([10.0, 14.0])
    Summary(number=2, mean=12.0, sd=2.8284271247461903, cv_percent=23.570226039551585, standard_error=2.0)
    """
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    if array.size < 2:
        return Summary(1, mean, None, None, None)
    sd = float(array.std(ddof=1))
    return Summary(array.size, mean, sd, 100 * sd / mean if mean else None, sd / float(np.sqrt(array.size)))


def summarise_wells(answers: Iterable[Mapping[str, Any]], places: Mapping[str, Place]) -> list[WellSummary]:
    """Summarise the answers of fields by plate and well, in their order; images without a place are left out.

    Raises
    ------
    InputError
        Two fields of one well have different conditions.
    """
    fields: dict[tuple[str, Well], list[Mapping[str, Any]]] = {}
    conditions: dict[tuple[str, Well], str] = {}
    for answer in answers:
        if (place := places.get(answer["image_id"])) is None:
            continue
        key = place.plate, place.well
        if conditions.setdefault(key, place.condition) != place.condition:
            raise InputError(f"{place.well} has the conditions {conditions[key]} and {place.condition}")
        fields.setdefault(key, []).append(answer)
    return [
        WellSummary(
            plate,
            well,
            conditions[plate, well],
            {
                "confluency_percent": summarise([answer["confluency"]["percent"] for answer in answers_of_well]),
                "count": summarise([answer["count"] for answer in answers_of_well]),
            },
        )
        for (plate, well), answers_of_well in sorted(fields.items(), key=lambda item: item[0])
    ]


def summarise_conditions(wells: Iterable[WellSummary]) -> list[ConditionSummary]:
    """Summarise wells by plate and condition, in the order in which these come; none where no condition is known."""
    grouped: dict[tuple[str, str], list[WellSummary]] = {}
    for well in wells:
        if well.condition:
            grouped.setdefault((well.plate, well.condition), []).append(well)
    return [
        ConditionSummary(
            plate,
            condition,
            [one.well for one in members],
            sum(one.of["count"].number for one in members),
            {measure: summarise([one.of[measure].mean for one in members]) for measure in MEASURES},
        )
        for (plate, condition), members in grouped.items()
    ]
