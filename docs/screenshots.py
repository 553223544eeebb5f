"""The pictures of the page in the documentation: what they show, and how they are taken and made small.

``make pictures`` takes them. It runs the page's own test, `tests/page/test_screenshots.py`, which takes and checks them
in every run, and lets it write where the documentation has them.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SHOWN = ("fluorescence_large", "fluorescence_touching", "fluorescence_tissue", "histology_purple")
"""Examples that are chosen on the page; the first of them is looked at."""

VIEWS = {"page.png": (1280, 1180), "page-narrow.png": (400, 1500)}
"""Width and height of each picture, in pixels."""

COLOURS = 256
SELECTED_ROW = 6


def show_examples(page: "Page") -> None:
    """Choose the examples on the page, wait for their answers and choose an object, as the pictures show it."""
    page.set_input_files("#files", [ROOT / "examples" / f"{example}.png" for example in SHOWN])
    page.locator(".entries li[data-state=done]").nth(len(SHOWN) - 1).wait_for()
    page.locator("#objects tbody tr").nth(SELECTED_ROW).click()
    page.evaluate("scrollTo(0, 0)")


def reduced(png: bytes) -> bytes:
    """Write a picture with few colours: text and areas need no more, and the file is a third."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # Coverage, since the colours that matter are those of thin lines; K-means then moves them to what is there.
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
