"""What a terminal shows: commands, typed as a reader would, and what they print, drawn as a picture."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

PROGRAMS = {"monolayer": "monolayer_client"}
COLUMNS = 110
FONT_PX, LINE_PX, MARGIN_PX = 15, 20, 14
GROUND, TEXT, PROMPT = (24, 26, 31), (214, 218, 224), (126, 211, 134)


def typed(command: str, folder: Path, url: str, *, shown: str | None = None) -> str:
    """Run a command in a folder against the service at `url`; the prompt with it, and what it printed.

    `shown` stands for the command where something else was run than a reader would type.

    Raises
    ------
    RuntimeError
        It failed.
    """
    run = subprocess.run(
        command_line(command), cwd=folder, env=environment(url), capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"{command}\n{run.stdout}{run.stderr}")
    return f"$ {shown or command}\n{run.stdout}{run.stderr}"


def command_line(command: str) -> list[str]:
    """Words of a command; those of this project are run as they are in this environment, installed or not."""
    program, *words = shlex.split(command)
    return [sys.executable, "-m", PROGRAMS[program], *words] if program in PROGRAMS else [program, *words]


def environment(url: str) -> dict[str, str]:
    """Variables for a command that asks the service at `url` and prints at once, without colours."""
    return {**os.environ, "MONOLAYER_URL": url, "COLUMNS": str(COLUMNS), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def draw_terminal(texts: Iterable[str], path: Path, *, hidden: Iterable[str] = ()) -> None:
    """Draw what a terminal shows, lines that begin with a prompt in another colour.

    What is `hidden`, such as the path of a temporary folder, is left out.
    """
    text = "\n".join(part.rstrip() for part in texts)
    for part in hidden:
        text = text.replace(part, "")
    lines = [piece for line in text.splitlines() for piece in _folded(line)]
    font = ImageFont.truetype(findfont("DejaVu Sans Mono"), FONT_PX)
    width = 2 * MARGIN_PX + round(max(font.getlength(line) for line in lines))
    picture = Image.new("RGB", (width, 2 * MARGIN_PX + LINE_PX * len(lines)), GROUND)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        colour = PROMPT if line.startswith("$ ") else TEXT
        draw.text((MARGIN_PX, MARGIN_PX + number * LINE_PX), line, font=font, fill=colour)
    picture.quantize(32, dither=Image.Dither.NONE).save(path, optimize=True)


def _folded(line: str) -> list[str]:
    """Cut a line where the terminal ends."""
    return re.findall(rf".{{1,{COLUMNS}}}", line) or [""]
