"""``monolayer series``: confluency over time, growth rate and doubling time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from monolayer_client.arrival import Arrival, arrival_at
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
from monolayer_client.correlated_fit import Estimate
from monolayer_client.errors import InputError
from monolayer_client.growth import CROWDED_PERCENT, Growth, fit_growth
from monolayer_client.html_report import ReportTable
from monolayer_client.report_plots import Curve, draw_curves
from monolayer_client.time_points import TimePoint, times_from_names, times_from_table

_COLUMNS = ("series", "images", "hours", "confluency, %", "doubling time, h [95 %]", "growth")
_NOTES = (
    "Confluency is the share of an image that cells cover. Its growth is not that of their number: cells spread.",
    "Intervals of 95 % allow for successive images of a field being alike.",
    "At least 93 % held in simulated exponential and logistic growth; 89 % of eight images that correlate by 0.8.",
    "They allow for growth that slows as room runs out, not for every other way to slow.",
    "Where growth slows, the doubling time is that at the first image. Where the data do not tell, there is no figure.",
)


def series(
    results: Results,
    *,
    interval_h: Annotated[
        float | None, typer.Option("--interval", min=0.0, help="Hours between two frames, whose names are numbered.")
    ] = None,
    times: Annotated[
        Path | None, typer.Option("--times", help="CSV with the columns image_id, hours and maybe series.", exists=True)
    ] = None,
    time_pattern: Annotated[
        str | None,
        typer.Option("--time-pattern", help="Regular expression with groups d, h, m, s, date, clock or n (frame)."),
    ] = None,
    target_percent: Annotated[
        float | None, typer.Option("--target", min=0.1, max=100, help="Confluency whose time of arrival is asked for.")
    ] = None,
    until_percent: Annotated[
        float, typer.Option("--until", min=1, max=100, help="Confluency from which on cells have no room to grow.")
    ] = CROWDED_PERCENT,
    skip_flagged: SkipFlagged = False,
    outputs: Outputs = None,
) -> None:
    """Tell how confluency grows: curve, growth rate, doubling time and when a target is reached.

    Times are read from the names of the images: 00d02h30m, 36h, 20260314_0930, or with --interval the number of the
    frame. What is left of a name is its series (a position, a well, a flask). An exponential is fitted to each series
    from 1 % up to --until, or a logistic curve where growth slows; where there are too few images, no change can be
    told from noise, or neither curve fits, it says so instead of giving a figure. It needs the extra "reports" (pip
    install 'monolayer-client[reports]').

    \b
    Examples:
      monolayer series numbers
      monolayer series numbers --interval 0.5 --target 70 -o growth.html
      monolayer series numbers --times times.csv -o growth.csv -o growth.png
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        check_outputs(outputs or ())
        if times is not None and (interval_h, time_pattern) != (None, None):
            raise InputError("--times says when images were taken: leave out --interval and --time-pattern")
        answers = collect_answers(results, skip_flagged=skip_flagged)
        names = [answer["image_id"] for answer in answers]
        if times is None:
            points = times_from_names(names, pattern=time_pattern, interval_h=interval_h)
        else:
            points = times_from_table(times)
            if missing := next((name for name in names if name not in points), None):
                raise InputError(f"{times} does not list the image {missing}")
        curves = _curves(answers, points, target_percent, until_percent)
        columns, cells = _cells(curves, target_percent)
        table = Table(*columns)
        for line in cells:
            table.add_row(*line)
        out().print(table)
        write_reports(
            outputs or (),
            [_row(curve, target_percent) for curve in curves],
            lambda form: draw_curves(curves, target_percent, form),
            title="Confluency over time",
            notes=_NOTES,
            tables=[ReportTable("Series", columns, cells), _points_table(answers, points)],
            alternative="Confluency over hours for each series, with the fitted curves; the numbers are below.",
        )


def _curves(
    answers: Sequence[Mapping[str, Any]],
    points: Mapping[str, TimePoint],
    target_percent: float | None,
    until_percent: float,
) -> list[Curve]:
    by_series: dict[str, list[tuple[float, float, float]]] = {}
    for answer in answers:
        point, confluency = points[answer["image_id"]], answer["confluency"]
        half_width = confluency.get("uncertainty_points")
        value = (point.hours, confluency["percent"], np.nan if half_width is None else half_width)
        by_series.setdefault(point.series, []).append(value)
    curves = []
    for name, values in sorted(by_series.items()):
        hours, percent, half_width = np.array(sorted(values), np.float64).T
        if len(set(hours.tolist())) < len(hours):
            raise InputError(f"the series {name} has two images of one time: a series is one field")
        growth = fit_growth(hours, percent, until_percent=until_percent)
        arrival = None
        if target_percent is not None:
            arrival = arrival_at(target_percent, hours, percent, growth, until_percent=until_percent)
        curves.append(Curve(name, hours, percent, half_width, growth, arrival))
    return curves


def _row(curve: Curve, target_percent: float | None) -> dict[str, object]:
    growth = curve.growth
    row: dict[str, object] = {
        "series": curve.name,
        "images": len(curve.hours),
        "first_h": curve.hours[0],
        "last_h": curve.hours[-1],
        "first_percent": curve.percent[0],
        "last_percent": curve.percent[-1],
        "fitted_images": growth.points,
        "growth": growth.verdict,
        "curve": growth.curve_name,
        "reason": growth.reason,
        **_columns("rate{}_per_h", growth.rate),
        **_columns("last_rate{}_per_h", growth.last_rate),
        **_columns("doubling{}_h", growth.doubling_h),
    }
    if (arrival := curve.arrival) is not None:
        row |= {
            "target_percent": target_percent,
            "target": arrival.kind,
            "target_h": arrival.hours,
            "target_low_h": arrival.low,
            "target_high_h": arrival.high,
            "target_reason": arrival.reason,
        }
    return row


def _columns(name: str, known: Estimate | None) -> dict[str, object]:
    values = (None, None, None) if known is None else (known.value, known.low, known.high)
    return {name.format(end): value for end, value in zip(("", "_low", "_high"), values, strict=True)}


def _cells(curves: Sequence[Curve], target_percent: float | None) -> tuple[list[str], list[list[str]]]:
    cells = []
    for curve in curves:
        growth = curve.growth
        line = [
            curve.name,
            str(len(curve.hours)),
            f"{curve.hours[0]:g} to {curve.hours[-1]:g}",
            f"{curve.percent[0]:.1f} to {curve.percent[-1]:.1f}",
            _doubling(growth),
            f"{growth.verdict}: {growth.reason}" if growth.reason else growth.verdict,
        ]
        cells.append(line if curve.arrival is None else [*line, _told(curve.arrival)])
    return [*_COLUMNS, *([] if target_percent is None else [f"{target_percent:g} % at, h"])], cells


def _doubling(growth: Growth) -> str:
    if (known := growth.doubling_h) is None:
        return "-"
    written = f"{known.value:.1f} [{known.low:.1f}, {known.high:.1f}]"
    return written if growth.last_rate is None else f"{written} at first"


def _told(arrival: Arrival) -> str:
    if arrival.kind == "observed":
        return f"{number(arrival.hours, 1)}"
    if arrival.kind == "forecast":
        return f"{number(arrival.hours, 1)} [{number(arrival.low, 1)}, {number(arrival.high, 1)}] forecast"
    if arrival.kind == "reached before":
        return f"before {number(arrival.hours, 1)}"
    return f"{arrival.kind}: {arrival.reason}"


def _points_table(answers: Sequence[Mapping[str, Any]], points: Mapping[str, TimePoint]) -> ReportTable:
    rows = [
        [
            points[answer["image_id"]].series,
            f"{points[answer['image_id']].hours:g}",
            answer["image_id"],
            number(answer["confluency"]["percent"]),
            number(answer["confluency"].get("uncertainty_points")),
            str(answer["count"]),
            " ".join(answer["quality"]["flags"]) or "-",
        ]
        for answer in sorted(answers, key=lambda answer: points[answer["image_id"]])
    ]
    columns = ("series", "hours", "image", "confluency, %", "± points", "count", "quality flags")
    return ReportTable("Images", columns, rows)
