"""What a person sees on the page is what the service answers."""

import io
from typing import get_args

import numpy as np
import pytest
import tifffile
from tests.page.driving import BY_OBJECT, ask, choose, details, drawn, figure, pixels_of

from monolayer_core.image_io import encode_png
from monolayer_core.normalization import normalize
from monolayer_core.rle import decode_kaggle
from monolayer_service.schemas import Quality


def test_the_numbers_are_those_of_the_same_request(page, address, image):
    choose(page, image)
    answer = ask(page, address, image).json()
    assert figure(page, "count") == str(answer["count"]) == "3"
    assert figure(page, "confluency") == f"{answer['confluency']['percent']:.1f} %"
    assert figure(page, "method") == "U-Net"
    assert page.locator("#origin code").inner_text() == answer["model"]["sha256"][:12]
    assert "nuclei 1.2.0" in page.locator("#caption").inner_text()
    assert page.locator("#announcer").inner_text().startswith("blobs.png: 3 nuclei, confluency")
    areas = [row.split("\t")[2] for row in page.locator("#objects tbody tr").all_inner_texts()]
    assert areas == [str(one["area_px"]) for one in answer["instances"]]


def test_every_class_is_counted(page, address, image, blobs):
    colours = image | {"buffer": encode_png(np.repeat(blobs[..., np.newaxis], 3, axis=2))}
    page.select_option("#model", "blood")
    choose(page, colours)
    answer = ask(page, address, colours, f"{BY_OBJECT}&model=blood").json()
    assert {name: figure(page, f"count-{name}") for name in ("rbc", "wbc")} == {
        name: str(count) for name, count in answer["counts"].items()
    }
    assert page.locator("#legend li").all_inner_texts() == ["rbc", "wbc"]
    assert "blood 1.2.0" in page.locator("#origin").inner_text()


def test_what_is_drawn_follows_the_toolbar(page, image):
    choose(page, image)
    outlined = drawn(page)
    page.select_option("#draw-as", "filled")
    filled = drawn(page)
    page.select_option("#colour-by", "object")
    by_object = drawn(page)
    page.locator("#opacity").fill("30")
    faint = drawn(page)
    page.uncheck("#show-objects")
    bare = drawn(page)
    assert len({outlined, filled, by_object, faint, bare}) == 5
    page.check("#show-objects")
    page.locator("#opacity").fill("90")
    page.select_option("#colour-by", "class")
    page.select_option("#draw-as", "outline")
    assert drawn(page) == outlined


def test_the_picture_is_the_image_and_outlines_are_where_objects_end(page, image, blobs):
    choose(page, image)
    page.locator("#opacity").fill("100")
    rgb = pixels_of(drawn(page))
    times = rgb.shape[1] // 120
    is_outline = (rgb == [25, 224, 255]).all(axis=2)
    inside = np.kron(blobs > 100, np.ones((times, times), bool))
    assert is_outline.any()
    assert not (is_outline & ~inside).any()
    assert not is_outline[25 * times, 30 * times]  # the middle of a disc
    first = np.flatnonzero(inside[25 * times])[0]
    assert is_outline[25 * times, first]
    assert not is_outline[25 * times, first - 1]
    page.uncheck("#show-objects")
    larger = np.kron(normalize(blobs), np.ones((times, times), np.uint8))
    np.testing.assert_array_equal(pixels_of(drawn(page)), larger[..., np.newaxis].repeat(3, axis=2))


def test_a_click_on_an_object_shows_its_measurements(page, address, image):
    choose(page, image)
    one = next(one for one in ask(page, address, image).json()["instances"] if one["centroid"]["y"] > 50)
    untouched = drawn(page)
    box = page.locator("#picture").bounding_box()
    scale = box["width"] / 120
    page.locator("#picture").click(
        position={"x": (one["centroid"]["x"] + 0.5) * scale, "y": (one["centroid"]["y"] + 0.5) * scale}
    )
    shown = details(page)
    assert shown["Object"] == f"{one['id']}, nucleus"
    assert shown["Area"] == f"{one['area_px']} px"
    assert shown["Diameter"] == f"{one['equivalent_diameter_px']:.1f} px"
    assert shown["Solidity"] == f"{one['solidity']:.2f}"
    assert shown["Score"] == f"{one['score']:.2f}"
    assert page.locator("#objects tr[aria-selected=true] td").first.inner_text() == str(one["id"])
    assert drawn(page) != untouched
    page.locator("#picture").click(position={"x": 2, "y": box["height"] - 2})
    assert "Click an object" in page.locator("#object").inner_text()
    assert drawn(page) == untouched


def test_everything_can_be_done_with_the_keyboard(page, image):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    choose(page, image)
    page.locator("#objects tr[tabindex='0']").focus()
    page.keyboard.press("Enter")
    assert details(page)["Object"] == "1, nucleus"
    page.keyboard.press("ArrowDown")
    assert details(page)["Object"] == "2, nucleus"
    page.keyboard.press("End")
    assert details(page)["Object"] == "3, nucleus"
    page.keyboard.press("Home")
    assert details(page)["Object"] == "1, nucleus"
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    page.keyboard.press("Escape")
    assert page.locator("#objects tr[aria-selected=true]").count() == 0
    page.locator("input[name=method][value=network]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#threshold").is_disabled()
    assert page.locator("#model").is_disabled()
    page.locator("#run").focus()
    page.keyboard.press("Enter")
    page.locator("[data-figure=method]", has_text="K-means").wait_for()


def test_objects_can_be_sorted(page, image):
    choose(page, image)
    page.get_by_role("button", name="Area px").click()
    areas = [int(row.split("\t")[2]) for row in page.locator("#objects tbody tr").all_inner_texts()]
    assert areas == sorted(areas, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Area px")


def test_a_fallback_is_announced(open_page, serve, tmp_path_factory, image):
    page = open_page(serve(tmp_path_factory.mktemp("none")))
    choose(page, image)
    assert "K-means answered instead of the network: there is no bundle nuclei." in page.locator(".notice").inner_text()
    assert "K-means answered instead" in page.locator("#announcer").inner_text()
    assert figure(page, "method") == "K-means"


def test_every_flag_has_plain_words(page):
    words = page.evaluate("async () => (await import('/page/words.js')).FLAGS")
    flags = get_args(get_args(Quality.model_fields["flags"].annotation)[0])
    assert set(words) == set(flags)
    assert all(len(title.split()) > 2 and advice.endswith(".") for title, advice in words.values())


def test_pixels_that_are_not_square_come_with_advice(page, blobs):
    stream = io.BytesIO()
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.4}
    tifffile.imwrite(stream, blobs, ome=True, metadata={"axes": "YX", **size})
    choose(page, {"name": "flat.ome.tif", "mimeType": "image/tiff", "buffer": stream.getvalue()})
    notice = page.locator(".notice").filter(has_text="The sides of a pixel differ")
    assert "areas are in pixels alone; fill in “Pixel size”" in notice.inner_text()
    assert "pixel size unknown" in page.locator("#result-meta").inner_text()
    page.fill("#pixel_size_um", "0.5")
    page.click("#run")
    page.locator("#result-meta", has_text="0.5 µm a pixel").wait_for()
    assert notice.count() == 0


def test_flags_come_with_advice(page):
    blank = {"name": "blank.png", "mimeType": "image/png", "buffer": encode_png(np.full((64, 64), 9, np.uint8))}
    choose(page, blank)
    assert "Check that the sample is in view" in page.locator("#notices").inner_text()
    assert figure(page, "count") == "0"
    assert page.locator("#object dd").inner_text() == "No objects were found."


def test_both_methods_stand_side_by_side(page, address, image, blobs):
    blobs[5:40, 60:110] = 90  # too faint for the network
    image = image | {"buffer": encode_png(blobs)}
    choose(page, image)
    page.click("#compare")
    page.locator("#other-figure").wait_for()
    other = ask(page, address, image, f"{BY_OBJECT}&method=kmeans").json()
    assert other["count"] == 4
    assert page.locator("#other-caption").inner_text().startswith("K-means: 4 objects")
    assert page.locator("#caption").inner_text().startswith("U-Net nuclei 1.2.0: 3 nuclei")
    masks = [
        decode_kaggle([one["rle"] for one in answer["instances"]], 96, 120) > 0
        for answer in (ask(page, address, image).json(), other)
    ]
    dice = 200 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum())
    assert 10 < dice < 90
    assert page.locator("#agreement").inner_text().startswith(f"The two masks overlap by {dice:.0f} % (Dice")
    assert drawn(page) != drawn(page, "other-picture")
    page.click("#compare")
    page.locator("#other-figure").wait_for(state="hidden")


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_screen(open_page, address, image, width):
    page = open_page(address, width=width)
    long_name = image | {"name": f"{'plate_01_well_B07_field_3_' * 4}.png"}
    choose(page, long_name, image)
    page.locator("#objects tbody tr").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.click("#compare")
    page.locator("#other-figure").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width
