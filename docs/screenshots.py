"""Take the pictures of the page for the documentation, of the service in a process of its own with the shipped models.

python -m docs.screenshots      needs playwright and Chromium; see `docs.browser`
"""

import io
from pathlib import Path

from benchmarks.server import running_service
from docs.browser import find_chromium, running_browser
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SHOWN = ("fluorescence_large", "fluorescence_touching", "fluorescence_tissue", "histology_purple")
VIEWS = {"page.png": (1280, 1180), "page-narrow.png": (400, 1500)}
"""Width and height of each picture, in pixels."""

COLOURS = 256
SELECTED_ROW = 6
PATIENCE_MS = 120_000


def main() -> None:
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("there is no Chromium: install it, or name it in MONOLAYER_CHROMIUM")
    with running_service(start_seconds=60) as server, running_browser(chromium) as browser:
        for name, (width, height) in VIEWS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"http://127.0.0.1:{server.port}/")
            page.set_input_files("#files", [ROOT / "examples" / f"{example}.png" for example in SHOWN])
            page.locator(".entries li[data-state=done]").nth(len(SHOWN) - 1).wait_for()
            page.locator("#objects tbody tr").nth(SELECTED_ROW).click()
            page.evaluate("scrollTo(0, 0)")
            (PICTURES / name).write_bytes(reduced(page.screenshot()))
            page.close()


def reduced(png: bytes) -> bytes:
    """Write a picture with few colours: text and areas need no more, and the file is a third."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # Coverage, since the colours that matter are those of thin lines; K-means then moves them to what is there.
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
