"""The network as a U: how large and how many the features are at each level. Drawn without graphviz."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from monolayer_trainer.config import TrainConfig

MOBILENET_DOWN = (96, 144, 192, 576)
MOBILENET_BOTTOM = 320
MOBILENET_UP = (512, 256, 128, 64)
"""Feature channels of the MobileNetV2 U-Net, from fine to coarse and back."""


@dataclass(frozen=True)
class Stage:
    """Features at one place of the U: `level` halvings below the image, on the way down (False) or up (True)."""

    level: int
    channels: int
    up: bool


def stages(config: TrainConfig) -> list[Stage]:
    """List the network's features from the image to the logits."""
    if config.architecture == "mobilenet-unet":
        down = [Stage(level, width, False) for level, width in enumerate(MOBILENET_DOWN, start=1)]
        bottom = Stage(len(MOBILENET_DOWN) + 1, MOBILENET_BOTTOM, False)
        up = [Stage(bottom.level - 1 - index, width, True) for index, width in enumerate(MOBILENET_UP)]
        return [*down, bottom, *up]
    down = [Stage(level, config.base_width * 2**level, False) for level in range(config.depth)]
    bottom = Stage(config.depth, config.base_width * 2**config.depth, False)
    return [*down, bottom, *(Stage(stage.level, stage.channels, True) for stage in reversed(down))]


def draw_architecture(config: TrainConfig, outputs: tuple[str, ...], parameters: int, path: Path) -> None:
    """Draw the network.

    Parameters
    ----------
    config
        Says its shape.
    outputs
        Names of what it answers.
    parameters
        Their number, for the title.
    path
        PNG to write.
    """
    listed = stages(config)
    depth = max(stage.level for stage in listed)
    figure = Figure(figsize=(10, 1.4 * depth + 2.2), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(-1.6, 2 * depth + 1.6)
    axes.set_ylim(-depth - 0.5, 0.6)
    axes.set_title(f"{config.architecture}, {parameters:,} parameters")

    places = [(2 * depth - stage.level if stage.up else stage.level, -stage.level) for stage in listed]
    for stage, (x, y) in zip(listed, places, strict=True):
        side = 0.7 * 0.8**stage.level
        colour = "tab:orange" if stage.up else "tab:blue"
        axes.add_patch(
            Rectangle((x - side / 2, y - side / 2), side, side, facecolor=colour, alpha=0.6, edgecolor="0.2")
        )
        size = config.crop_side / 2**stage.level
        axes.text(x, y, f"{stage.channels}\n{size:g}²", ha="center", va="center", fontsize=8)
    for start, end in itertools.pairwise(places):
        draw_arrow(axes, start, end, "-")
    for stage, (x, y) in zip(listed, places, strict=True):
        if not stage.up and stage.level < depth:
            draw_arrow(axes, (x, y), (2 * depth - x, y), "--")
    axes.text(-0.6, 0, f"image\n{config.channels}", ha="right", va="center")
    axes.text(2 * depth + 0.6, 0, "\n".join(outputs), ha="left", va="center")
    figure.savefig(path, dpi=90)


def draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], linestyle: str) -> None:
    """Draw an arrow between two stages: solid for the way of the features, dashed for what is handed across."""
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=12, color="0.35", shrinkA=24, shrinkB=24, linestyle=linestyle
    )
    axes.add_patch(arrow)
