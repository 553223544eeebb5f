"""Pictures of series and plates. They need the extra ``reports``; nothing of it is imported before it is called for."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monolayer_client.arrival import Arrival
from monolayer_client.correlated_fit import Values
from monolayer_client.growth import Growth
from monolayer_client.plate_statistics import Measure, WellSummary
from monolayer_client.plots import new_figure
from monolayer_client.wells import PLATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES: Mapping[Measure, str] = {"confluency_percent": "confluency, %", "count": "objects a field"}
MAX_LEGEND = 12
"""Series named in the picture; of more no colour could be told apart."""


@dataclass(frozen=True)
class Curve:
    """One series: ``(n,)`` hours and percent, the half-width of each value's interval or NaN, and what they tell."""

    name: str
    hours: Values
    percent: Values
    half_width: Values
    growth: Growth
    arrival: Arrival | None = None


def draw_curves(curves: Sequence[Curve], target_percent: float | None, form: str) -> bytes:
    """Draw confluency over time, each series with the curve that was fitted to it.

    Raises
    ------
    InputError
        See `plots.new_figure`.
    """
    figure = new_figure((8, 4.5), form)
    axes = figure.subplots()
    for index, curve in enumerate(curves):
        color, label = f"C{index % 10}", curve.name if len(curves) <= MAX_LEGEND else None
        axes.errorbar(
            curve.hours,
            curve.percent,
            yerr=np.nan_to_num(curve.half_width),
            fmt="o",
            markersize=3.5,
            color=color,
            ecolor=color,
            elinewidth=0.6,
            label=label,
        )
        if (fitted := curve.growth.curve) is not None:
            hours = np.linspace(curve.hours[0], curve.hours[-1], 200)
            percent = fitted.percent_at(hours)
            axes.plot(hours[percent <= 100], percent[percent <= 100], color=color, linewidth=1)
    if target_percent is not None:
        axes.axhline(target_percent, color="0.5", linewidth=1, linestyle="--")
    axes.set(xlabel="hours", ylabel="confluency, %", ylim=(0, 102))
    axes.grid(visible=True, color="0.92")
    if len(curves) <= MAX_LEGEND:
        axes.legend(frameon=False)
    return _written(figure, form)


def draw_plates(wells: Sequence[WellSummary], size: int, form: str) -> bytes:
    """Draw heat maps of the means of the wells, one for each plate and measure; wells without an image stay empty.

    The maps of a measure have one range of colours: plates can be compared by eye.

    Raises
    ------
    InputError
        See `plots.new_figure`.
    """
    rows, columns = PLATES[size]
    plates = sorted({one.plate for one in wells})
    side = max(5.0, columns * 0.42)
    figure = new_figure((side, 2 * len(plates) * (1.0 + side * rows / columns)), form)
    axes = iter(figure.subplots(2 * len(plates), 1))
    for plate in plates:
        for measure in TITLES:
            means = [one.of[measure].mean for one in wells]
            values = np.full((rows, columns), np.nan)
            for one in wells:
                if one.plate == plate:
                    values[one.well.row, one.well.column] = one.of[measure].mean
            title = f"{plate}: {TITLES[measure]}" if len(plates) > 1 else TITLES[measure]
            _draw_heat_map(figure, next(axes), values, (min(means), max(means)), title)
    return _written(figure, form)


def _draw_heat_map(figure: "Figure", axes: "Axes", values: Values, limits: tuple[float, float], title: str) -> None:
    rows, columns = values.shape
    image = axes.imshow(values, cmap="viridis", aspect="equal", vmin=limits[0], vmax=limits[1])
    figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xticks(range(columns), [str(column + 1) for column in range(columns)], fontsize=7)
    axes.set_yticks(range(rows), [chr(ord("A") + row) for row in range(rows)], fontsize=7)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(-0.5, columns), minor=True)
    axes.set_yticks(np.arange(-0.5, rows), minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.6)
    axes.tick_params(which="minor", length=0)


def _written(figure: "Figure", form: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=120, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()
