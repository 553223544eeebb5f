"""Pictures of statistics. They need the extra ``reports``; nothing of it is imported before it is called for."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from monolayer_client.class_statistics import ClassObjects
from monolayer_client.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
BINS = 30


def draw_statistics(classes: Sequence[ClassObjects], form: str = "png") -> bytes:
    """Draw the counts of the classes, and how the areas of each are distributed.

    Areas are in square micrometres where those of all objects are known, else in pixels. Each class is drawn as shares
    of its own objects, so that a rare one can be seen beside a frequent one.

    Parameters
    ----------
    classes
        What to draw.
    form
        One of `FORMATS`.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    InputError
        The form is another one, or the extra ``reports`` is not installed.
    """
    figure = new_figure((9, 3.6), form)
    counts, areas = figure.subplots(1, 2, width_ratios=(1, 2))
    _draw_counts(counts, classes)
    _draw_areas(areas, classes)
    file = io.BytesIO()
    figure.savefig(file, format=form, dpi=120)
    return file.getvalue()


def new_figure(size_inches: tuple[float, float], form: str) -> "Figure":
    """Make an empty figure that can be written as `form`.

    Raises
    ------
    InputError
        The form is none of `FORMATS`, or matplotlib is not installed.
    """
    if form not in FORMATS:
        raise InputError(f"a picture is written as {', '.join(FORMATS)}, not {form or 'a file without a suffix'}")
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise InputError(f"pictures need {error.name}: pip install 'monolayer-client[reports]'") from None
    return Figure(figsize=size_inches, layout="constrained")


def _draw_counts(axes: "Axes", classes: Sequence[ClassObjects]) -> None:
    for index, one in enumerate(classes):
        bars = axes.bar(one.name, one.count, color=f"C{index}")
        axes.bar_label(bars, [f"{one.count:,}"])
    axes.set(ylabel="objects")
    axes.margins(y=0.1)


def _draw_areas(axes: "Axes", classes: Sequence[ClassObjects]) -> None:
    in_um2 = all(len(one.areas_um2) == one.count for one in classes)
    values = [one.areas_um2 if in_um2 else one.areas_px for one in classes]
    edges = np.histogram_bin_edges(np.concatenate([*values, np.zeros(1)]), BINS).tolist()
    for index, (one, areas) in enumerate(zip(classes, values, strict=True)):
        if len(areas):
            share = np.full(len(areas), 100 / len(areas))
            axes.hist(areas, edges, weights=share, alpha=0.6, color=f"C{index}", label=f"{one.name} ({len(areas):,})")
    unit = "µm²" if in_um2 else "px"
    axes.set(xlabel=f"area in {unit}", ylabel="% of the class's objects")
    if any(len(areas) for areas in values):
        axes.legend()
