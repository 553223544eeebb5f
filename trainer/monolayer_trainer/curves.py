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
        Of ``history.csv``; a figure missing in a row is left out of its curve.
    path
        PNG to write.
    """
    figure = Figure(figsize=(12, 7), layout="constrained")
    for panel, (column, title) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        points = [(int(row["epoch"]), float(row[column])) for row in rows if row.get(column)]
        panel.plot(*zip(*points, strict=True) if points else ([], []), marker="." if len(points) < 60 else "")
        panel.set(title=title or column.replace("_", " "), xlabel="epoch")
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=90)
