"""The pictures of the page in the documentation, taken with the shipped models and looked at.

They are written into a temporary folder, or where MONOLAYER_PICTURES says, as under `make pictures`.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from docs.screenshots import COLOURS, PICTURES, SELECTED_ROW, SHOWN, VIEWS, reduced, show_examples
from tests.page.driving import ask, details, figure

from monolayer_core.image_io import decode_image
from monolayer_core.model_card import read_card
from monolayer_service.settings import SHIPPED_BUNDLES

CHOSEN = (255, 242, 0)
SHOWN_PARTS = {
    "page.png": (
        "h1",
        "#entries li:last-child",
        "#settings",
        "#figures",
        "#picture",
        ".table-frame",
        "#object",
        "#histogram",
    ),
    "page-narrow.png": ("h1", "#entries li:last-child", "#settings-panel", "#figures", "#picture", "#caption"),
}
"""What each picture must have in it, whole."""


@pytest.fixture(scope="module")
def shipped(serve):
    return serve(SHIPPED_BUNDLES)


@pytest.fixture
def folder(tmp_path):
    return Path(os.environ.get("MONOLAYER_PICTURES") or tmp_path)


def like(pixels, colour):
    """Pixels of about this colour: it is drawn over the image, and the picture has few colours."""
    return np.abs(pixels.astype(int) - colour).max(axis=2) < 60


def part_of(pixels, box):
    top, left = round(box["y"]), round(box["x"])
    return pixels[top : top + round(box["height"]), left : left + round(box["width"])]


@pytest.mark.parametrize("name", VIEWS)
def test_the_pictures_of_the_page_show_the_examples(open_page, shipped, folder, name):
    width, height = VIEWS[name]
    page = open_page(shipped, width=width, height=height)
    show_examples(page)
    (folder / name).write_bytes(reduced(page.screenshot()))

    pixels = decode_image((folder / name).read_bytes()).pixels
    assert pixels.shape == (height, width, 3)
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    assert COLOURS // 2 < len(colours) <= COLOURS
    assert counts.max() < 0.6 * width * height

    example = {"name": f"{SHOWN[0]}.png", "mimeType": "image/png"}
    example["buffer"] = (PICTURES.parents[1] / "examples" / example["name"]).read_bytes()
    answer = ask(page, shipped, example).json()
    one = answer["instances"][SELECTED_ROW]
    assert page.locator("#result-title").inner_text() == example["name"]
    assert figure(page, "count") == str(answer["count"])
    assert details(page)["Object"] == f"{one['id']}, nucleus"
    assert f"U-Net nuclei {read_card(SHIPPED_BUNDLES / 'nuclei').version}: " in page.locator("#caption").inner_text()
    assert page.locator(".entries .name").all_inner_texts() == [f"{example}.png" for example in SHOWN]
    assert page.locator(".notice").count() == 0

    for part in SHOWN_PARTS[name]:
        box = page.locator(part).first.bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= height, part
        assert part_of(pixels, box).std() > 5, part
    drawn = part_of(pixels, page.locator("#picture").bounding_box())
    swatch = page.locator(".swatch").first.evaluate("(node) => getComputedStyle(node).backgroundColor")
    outline = tuple(int(value) for value in swatch.removeprefix("rgb(").removesuffix(")").split(", "))
    assert like(drawn, outline).mean() > 0.01
    chosen = np.argwhere(like(drawn, CHOSEN))
    scale = drawn.shape[1] / answer["image"]["width"]
    middle = one["bbox"]["y"] + one["bbox"]["height"] / 2, one["bbox"]["x"] + one["bbox"]["width"] / 2
    assert np.abs((chosen.min(axis=0) + chosen.max(axis=0) + 1) / 2 / scale - middle).max() < 3


@pytest.mark.parametrize("name", VIEWS)
def test_the_documentation_has_pictures_of_that_size(name):
    height, width, _ = decode_image((PICTURES / name).read_bytes()).pixels.shape
    assert (width, height) == VIEWS[name]
