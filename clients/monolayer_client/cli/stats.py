"""``monolayer stats``: counts and areas by class, over many answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from monolayer_client.answer_files import find_answers
from monolayer_client.class_statistics import ClassObjects, Spread, ratios, read_objects, spread
from monolayer_client.cli.console import explained, out
from monolayer_client.files import write_atomically
from monolayer_client.plots import draw_statistics


def stats(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS", help="Folders that `segment` wrote, or answers NAME.json.")
    ],
    *,
    picture: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the counts and areas here: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Count the objects of each class in the answers of `segment`, and say how large they are.

    The table has the number of objects, the mean, median and standard deviation of their areas, and the ratios of the
    classes. Areas in square micrometres are those of images whose pixel size was known. The picture needs the extra
    "reports" (pip install 'monolayer-client[reports]').

    \b
    Examples:
      monolayer stats segmented
      monolayer stats day1 day2 -o stats.png
      monolayer stats segmented/smear7.json
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        answers = find_answers(results, with_objects=True)
        classes = read_objects(answers)
        if picture is not None:
            write_atomically(picture, draw_statistics(classes, picture.suffix.lower().removeprefix(".")))
        out().print(_table(classes, len(answers)))
        for pair, ratio in ratios(classes).items():
            out().print(f"{pair} {'-' if ratio is None else f'{ratio:.2f}'}", markup=False)


def _table(classes: Sequence[ClassObjects], answers: int) -> Table:
    with_um2 = any(len(one.areas_um2) for one in classes)
    units = ("px", "µm²") if with_um2 else ("px",)
    columns = [f"{figure}, {unit}" for unit in units for figure in ("mean area", "median", "SD")]
    table = Table("class", "objects", *columns, title=f"{answers} images")
    for one in classes:
        spreads = (spread(one.areas_px), spread(one.areas_um2)) if with_um2 else (spread(one.areas_px),)
        cells = [cell for values in spreads for cell in _cells(values)]
        table.add_row(one.name, f"{one.count}", *cells)
    return table


def _cells(values: Spread | None) -> list[str]:
    if values is None:
        return ["-"] * 3
    return [f"{values.mean:.1f}", f"{values.median:.1f}", "-" if values.sd is None else f"{values.sd:.1f}"]
