"""``monolayer plate``: figures by well and by condition, and a heat map."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from monolayer_client.cli.console import explained, out
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
from monolayer_client.plate_statistics import (
    MEASURES,
    Measure,
    Summary,
    WellSummary,
    summarise_conditions,
    summarise_wells,
)
from monolayer_client.report_plots import draw_plate
from monolayer_client.wells import PLATES, WELL, places_from_map, places_from_names, smallest_plate

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
        typer.Option("--map", help="CSV with well and condition, or image_id, well and condition.", exists=True),
    ] = None,
    well_pattern: Annotated[
        str, typer.Option("--well-pattern", help="Regular expression with groups row (a letter) and column (a number).")
    ] = WELL,
    wells: Annotated[PlateSize, typer.Option("--wells", help="Size of the plate.")] = PlateSize.auto,
    skip_flagged: SkipFlagged = False,
    outputs: Outputs = None,
) -> None:
    """Sum up the fields of a plate by well: mean, SD, CV and sampling error of confluency and count, and a heat map.

    The well is read from the name of an image (plate1_B03_f2) or from --map, which may name conditions too: these get a
    table of their own, made of the means of their wells. The report needs the extra "reports".

    \b
    Examples:
      monolayer plate numbers
      monolayer plate numbers --map map.csv -o plate.html
      monolayer plate numbers --wells 96 -o wells.csv -o heatmap.png
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        check_outputs(outputs or ())
        answers = collect_answers(results, skip_flagged=skip_flagged)
        names = [answer["image_id"] for answer in answers]
        if plate_map is None:
            places = places_from_names(names, pattern=well_pattern)
        else:
            places = places_from_map(plate_map, names, pattern=well_pattern)
        found = summarise_wells(answers, places)
        smallest = smallest_plate(one.well for one in found)
        size = smallest if wells is PlateSize.auto else int(wells)
        if size < smallest:
            shape = PLATES[size]
            raise InputError(f"a plate of {size} wells has {shape[0]} rows and {shape[1]} columns: too few")
        tables = [
            ReportTable(
                "Wells",
                ("well", "condition", "fields", *_FIGURES),
                [[str(one.well), one.condition or "-", str(_fields(one)), *_cells(one.of)] for one in found],
            )
        ]
        if conditions := summarise_conditions(found):
            rows = [[one.condition, str(len(one.wells)), *_cells(one.of)] for one in conditions]
            tables.append(ReportTable("Conditions", ("condition", "wells", *_FIGURES), rows))
        for table in tables:
            shown = Table(*table.columns, title=table.title)
            for row in table.rows:
                shown.add_row(*row)
            out().print(shown)
        write_reports(
            outputs or (),
            [_row(one) for one in found],
            lambda form: draw_plate(found, size, form),
            title=f"Plate of {size} wells",
            notes=_NOTES,
            tables=tables,
            alternative="Heat maps of mean confluency and mean count by well; the numbers are below.",
        )


def _fields(one: WellSummary) -> int:
    return one.of["count"].number


def _cells(of: Mapping[Measure, Summary]) -> list[str]:
    return [
        number(value)
        for measure in MEASURES
        for value in (of[measure].mean, of[measure].sd, of[measure].cv_percent, of[measure].standard_error)
    ]


def _row(one: WellSummary) -> dict[str, object]:
    row: dict[str, object] = {"well": str(one.well), "condition": one.condition, "fields": _fields(one)}
    names: Sequence[str] = ("mean", "sd", "cv_percent", "standard_error")
    for measure in MEASURES:
        row |= {f"{measure}_{name}": getattr(one.of[measure], name) for name in names}
    return row
