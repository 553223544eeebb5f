"""``monolayer plate``: figures by well and by condition, and a heat map."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from monolayer_client.cli.console import err, explained, out
from monolayer_client.cli.reports import (
    Outputs,
    Results,
    SkipFlagged,
    check_outputs,
    collect_answers,
    number,
    write_reports,
)
from monolayer_client.errors import InputError
from monolayer_client.html_report import ReportTable
from monolayer_client.places import places_from_map, places_from_names
from monolayer_client.plate_statistics import (
    MEASURES,
    ConditionSummary,
    Measure,
    Summary,
    WellSummary,
    summarise_conditions,
    summarise_wells,
)
from monolayer_client.report_plots import draw_plates
from monolayer_client.wells import PLATES, WELL, smallest_plate

_FIGURES = ("confluency, %", "SD", "CV, %", "SE", "count", "SD", "CV, %", "SE")
_NOTES = (
    "By well: mean over the fields of the well; SD and CV between its fields; SE, the sampling error of the mean.",
    "By condition: mean over the means of its wells; SD and CV between wells; fields of a well are one culture.",
)


class PlateSize(StrEnum):
    """Number of wells."""

    auto = "auto"
    w6 = "6"
    w12 = "12"
    w24 = "24"
    w48 = "48"
    w96 = "96"
    w384 = "384"


def plate(
    results: Results,
    *,
    plate_map: Annotated[
        Path | None,
        typer.Option("--map", help="CSV with well and condition, or image_id and well; maybe plate.", exists=True),
    ] = None,
    well_pattern: Annotated[
        str,
        typer.Option(
            "--well-pattern",
            help="Regular expression with groups row (a letter) and column (a number), maybe plate, field and time.",
        ),
    ] = WELL,
    time: Annotated[
        str | None, typer.Option("--time", help="Of several times the one to sum up, as names write it: t05, 36h.")
    ] = None,
    wells: Annotated[PlateSize, typer.Option("--wells", help="Size of the plate.")] = PlateSize.auto,
    skip_flagged: SkipFlagged = False,
    outputs: Outputs = None,
) -> None:
    """Sum up the fields of a plate by well: mean, SD, CV and sampling error of confluency and count, and a heat map.

    The well is read from the name of an image (plate1_B03_f2) or from --map, which may name conditions too: these get a
    table of their own, made of the means of their wells. Images of a well may differ in the field (f2, site2, a number
    behind the well); what else their names differ in tells plates apart, each with its own wells and heat map. Of
    several times (t05, 36h, 00d12h00m, a date) --time chooses one. The report needs the extra "reports".

    \b
    Examples:
      monolayer plate numbers
      monolayer plate numbers --map map.csv -o plate.html
      monolayer plate numbers --wells 96 -o wells.csv -o heatmap.png
      monolayer plate numbers --time 36h
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        check_outputs(outputs or ())
        answers = collect_answers(results, skip_flagged=skip_flagged)
        names = [answer["image_id"] for answer in answers]
        if plate_map is None:
            places = places_from_names(names, pattern=well_pattern, time=time)
        else:
            places = places_from_map(plate_map, names, pattern=well_pattern, time=time)
        if time is not None:
            err().print(f"{len(places)} of {len(names)} images are of the time {time}", markup=False)
        found = summarise_wells(answers, places)
        smallest = smallest_plate(one.well for one in found)
        size = smallest if wells is PlateSize.auto else int(wells)
        if size < smallest:
            shape = PLATES[size]
            raise InputError(f"a plate of {size} wells has {shape[0]} rows and {shape[1]} columns: too few")
        if wells is PlateSize.auto:
            err().print(f"taken for a plate of {size} wells, the smallest that has all of these; else give --wells")
        conditions = summarise_conditions(found)
        plates = {one.plate for one in found}
        tables = _tables(found, conditions, several=len(plates) > 1)
        for table in tables:
            shown = Table(*table.columns, title=table.title)
            for row in table.rows:
                shown.add_row(*row)
            out().print(shown)
        write_reports(
            outputs or (),
            [*map(_row_of_well, found), *map(_row_of_condition, conditions)],
            lambda form: draw_plates(found, size, form),
            title=f"Plate of {size} wells" if len(plates) == 1 else f"{len(plates)} plates of {size} wells",
            notes=_NOTES,
            tables=tables,
            alternative="Heat maps of mean confluency and mean count by well; the numbers are below.",
        )


def _tables(
    wells: Sequence[WellSummary], conditions: Sequence[ConditionSummary], *, several: bool
) -> list[ReportTable]:
    """Put the figures into tables for people; with a column of the plate where there are several."""
    columns = ("plate",) if several else ()

    def first(plate: str) -> list[str]:
        return [plate or "-"] if several else []

    of_wells = [
        [*first(one.plate), str(one.well), one.condition or "-", str(_fields(one)), *_cells(one.of)] for one in wells
    ]
    tables = [ReportTable("Wells", (*columns, "well", "condition", "fields", *_FIGURES), of_wells)]
    if conditions:
        rows = [[*first(one.plate), one.condition, str(len(one.wells)), *_cells(one.of)] for one in conditions]
        tables.append(ReportTable("Conditions", (*columns, "condition", "wells", *_FIGURES), rows))
    return tables


def _fields(one: WellSummary) -> int:
    return one.of["count"].number


def _cells(of: Mapping[Measure, Summary]) -> list[str]:
    return [
        number(value)
        for measure in MEASURES
        for value in (of[measure].mean, of[measure].sd, of[measure].cv_percent, of[measure].standard_error)
    ]


def _row_of_well(one: WellSummary) -> dict[str, object]:
    return {
        "level": "well",
        "plate": one.plate,
        "well": str(one.well),
        "condition": one.condition,
        "wells": 1,
        "fields": _fields(one),
        **_columns(one.of),
    }


def _row_of_condition(one: ConditionSummary) -> dict[str, object]:
    return {
        "level": "condition",
        "plate": one.plate,
        "well": "",
        "condition": one.condition,
        "wells": len(one.wells),
        "fields": one.fields,
        **_columns(one.of),
    }


def _columns(of: Mapping[Measure, Summary]) -> dict[str, object]:
    names = ("mean", "sd", "cv_percent", "standard_error")
    return {f"{measure}_{name}": getattr(of[measure], name) for measure in MEASURES for name in names}
