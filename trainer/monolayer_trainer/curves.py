"""The course of a training as one picture, from its table."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

PANELS = (
    ("loss", "loss"),
    ("dice", "Dice on crops"),
    ("score", "Kaggle score on tuning images"),
    ("learning_rate", ""),
)


def draw_curves(rows: Sequence[dict[str, str]], path: Path) -> None:
    """Draw loss, Dice, instance score and learning rate over the epochs.

    Parameters
    ----------
    rows
        Of ``history.csv``; a figure missing in a row is left out of its curve, and one that all rows miss has no panel.
    path
        PNG to write.
    """
    curves = [(column, title, points) for column, title in PANELS if (points := points_of(rows, column))]
    figure = Figure(figsize=(12, 3.5 * -(-len(curves) // 2)), layout="constrained")
    for number, (column, title, points) in enumerate(curves, start=1):
        panel = figure.add_subplot(-(-len(curves) // 2), 2, number)
        panel.plot(*zip(*points, strict=True), marker="." if len(points) < 60 else "")
        panel.set(title=title or column.replace("_", " "), xlabel="epoch")
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=90)


def points_of(rows: Sequence[dict[str, str]], column: str) -> list[tuple[int, float]]:
    """Give epoch and figure of the rows that have it."""
    return [(int(row["epoch"]), float(row[column])) for row in rows if row.get(column)]
