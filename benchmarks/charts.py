"""The plots beside the tables of results."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from benchmarks.targets import TARGETS, Figure
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

MET, MISSED = "tab:blue", "tab:red"


def draw_service(
    figures: Mapping[str, Figure], stages: Mapping[str, Mapping[str, float]], names: Sequence[str], path: Path
) -> None:
    """Figures as shares of their targets, and the stages of a request case by case."""
    picture = Picture(figsize=(12, 4.2), layout="constrained")
    left, right = picture.subplots(1, 2)
    shown = [name for name in TARGETS if name in figures]
    shares = [TARGETS[name].share_of_bound(figures[name].value) for name in shown]
    left.barh(
        [f"{TARGETS[name].what} {TARGETS[name].written_bound}" for name in shown],
        shares,
        color=[MET if TARGETS[name].is_met(figures[name].value) else MISSED for name in shown],
    )
    left.axvline(1, color="black", linewidth=1)
    left.invert_yaxis()
    left.tick_params(axis="y", labelsize=7)
    left.set_xlim(0, min(3, 1.1 * max(1, *shares)))  # what is missed by far needs no room to show it
    left.set_xlabel("share of the target: met up to the line")
    begin = dict.fromkeys(stages, 0.0)
    for name in names:
        widths = [100 * stages[case].get(name, 0.0) / (sum(stages[case].get(n, 0.0) for n in names)) for case in stages]
        right.barh(list(stages), widths, left=list(begin.values()), label=name)
        begin = {case: begin[case] + width for case, width in zip(stages, widths, strict=True)}
    right.invert_yaxis()
    right.set_xlabel("stages of a request, % of its time")
    right.legend(fontsize=7, ncols=(len(names) + 1) // 2, loc="lower center", bbox_to_anchor=(0.5, 1))
    save(picture, path)


def draw_bars(groups: Mapping[str, Mapping[str, float]], units: Mapping[str, str], path: Path) -> None:
    """One row of bars for each measure, one bar for each side; `units` tells the axis of each measure."""
    picture = Picture(figsize=(12, 3.6), layout="constrained")
    axes: Sequence[Axes] = picture.subplots(1, len(groups), squeeze=False)[0]
    colours = mpl.color_sequences["tab10"]
    for axis, (measure, values) in zip(axes, groups.items(), strict=True):
        axis.bar(range(len(values)), list(values.values()), color=colours[: len(values)])
        axis.set_xticks(range(len(values)), list(values), rotation=30, ha="right", fontsize=7)
        axis.set_title(measure, fontsize=9)
        axis.set_ylabel(units[measure], fontsize=8)
    save(picture, path)


def save(picture: Picture, path: Path) -> None:
    """Write a PNG that does not name its writer's version."""
    picture.savefig(path, dpi=90, metadata={"Software": None})
