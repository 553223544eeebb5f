"""What a person sees on the page is what the service answers."""

import base64
import io

import numpy as np
import pytest
import tifffile

from monolayer_core.image_io import decode_image, encode_png
from monolayer_core.normalization import normalize

BY_OBJECT = "measurements=true&rle=kaggle"


def choose(page, *files):
    page.set_input_files("#files", list(files))
    page.locator(".entries li[data-state=done]").nth(len(files) - 1).wait_for()
    page.locator("#objects tbody tr, #object .hint").first.wait_for()


def ask(page, address, image, query=BY_OBJECT):
    return page.request.post(f"{address}/v1/segment?{query}", multipart={"image": image})


def figure(page, name):
    return page.locator(f"[data-figure={name}]").inner_text()


def drawn(page, canvas="picture"):
    return page.evaluate("(id) => document.getElementById(id).toDataURL()", canvas)


def pixels_of(address):
    return decode_image(base64.b64decode(address.partition(",")[2])).pixels


def details(page):
    return dict(
        zip(page.locator("#object dt").all_inner_texts(), page.locator("#object dd").all_inner_texts(), strict=True)
    )


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


def test_settings_are_sent(page, address, image):
    page.fill("#threshold", "0.3")
    page.fill("#pixel_size_um", "0.5")
    page.fill("#min_area_px", "300")
    choose(page, image)
    answer = ask(page, address, image, f"{BY_OBJECT}&threshold=0.3&pixel_size_um=0.5&min_area_px=300").json()
    assert figure(page, "count") == str(answer["count"])
    assert "min_area_px = 300" in page.locator("#origin").inner_text()
    assert "0.5 µm a pixel" in page.locator("#result-meta").inner_text()
    assert f"{round(answer['confluency']['area_um2'])} µm²" in page.locator("#figures").inner_text()


def test_a_wrong_setting_is_shown_and_no_image_is_lost(page, image):
    page.fill("#threshold", "2")
    page.get_by_role("heading", name="Settings").click()
    page.locator("#threshold").wait_for(state="hidden")
    page.set_input_files("#files", image)
    assert "Correct the marked setting" in page.get_by_role("alert").inner_text()
    page.fill("#threshold", "0.5")
    page.click("#run")
    page.locator("[data-figure=count]", has_text="3").wait_for()


def test_a_broken_file_is_told_and_the_others_are_answered(open_page, address, image):
    page = open_page(address, expected_errors=1)
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": image["buffer"][:200]}
    page.set_input_files("#files", [broken, image])
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "This image could not be analysed" in alert.inner_text()
    assert "copy or export it again" in alert.inner_text()
    assert "code image_truncated, request " in alert.inner_text()
    page.locator(".entries li[data-state=done]").wait_for()
    page.locator(".entries .entry", has_text="blobs.png").click()
    assert figure(page, "count") == "3"
    assert page.get_by_role("alert").count() == 0


def test_a_fallback_is_announced(open_page, serve, tmp_path_factory, image):
    page = open_page(serve(tmp_path_factory.mktemp("none")))
    choose(page, image)
    assert "K-means answered instead of the network: there is no bundle nuclei." in page.locator(".notice").inner_text()
    assert "K-means answered instead" in page.locator("#announcer").inner_text()
    assert figure(page, "method") == "K-means"


def test_flags_come_with_advice(page):
    blank = {"name": "blank.png", "mimeType": "image/png", "buffer": encode_png(np.full((64, 64), 9, np.uint8))}
    choose(page, blank)
    assert "Check that the sample is in view" in page.locator("#notices").inner_text()
    assert figure(page, "count") == "0"
    assert page.locator("#object dd").inner_text() == "No objects were found."


def test_large_16_bit_tiffs_are_shown_and_tell_how_far_they_are(page, address, blobs):
    pixels = np.tile(blobs.astype(np.uint16) * 100, (22, 18))
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels)
    slide = {"name": "slide.tif", "mimeType": "image/tiff", "buffer": stream.getvalue()}
    with page.expect_request(lambda request: "/v1/segment" in request.url) as sent:
        choose(page, slide)
    assert "format=ndjson" in sent.value.url
    assert figure(page, "count") == f"{22 * 18 * 3:,}"
    assert "shown at 1/2 of its size" in page.locator("#caption").inner_text()
    assert page.evaluate("document.getElementById('picture').width") == 1080
    page.get_by_role("button", name="Next page").click()
    assert page.locator("#objects tbody tr").first.inner_text().startswith("101\t")


def test_a_plane_of_a_stack_is_chosen_in_the_settings(open_page, address, blobs):
    page = open_page(address, expected_errors=1)
    stream = io.BytesIO()
    planes = np.stack([np.zeros_like(blobs), blobs])
    tifffile.imwrite(stream, planes, photometric="minisblack", metadata={"axes": "CYX"})
    page.set_input_files("#files", {"name": "stack.tif", "mimeType": "image/tiff", "buffer": stream.getvalue()})
    page.get_by_role("alert", name="").wait_for()
    assert "Stacks and difficult images" in page.get_by_role("alert").inner_text()
    page.get_by_text("Stacks and difficult images", exact=True).click()
    page.fill("#channel", "1")
    page.click("#run")
    page.locator("[data-figure=count]", has_text="3").wait_for()
    assert page.get_by_role("alert").count() == 0


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
    assert "overlap by" in page.locator("#agreement").inner_text()
    assert drawn(page) != drawn(page, "other-picture")
    page.click("#compare")
    page.locator("#other-figure").wait_for(state="hidden")


def test_several_images_are_compared(page, address, image, blobs):
    empty = {"name": "empty.png", "mimeType": "image/png", "buffer": encode_png(np.zeros_like(blobs))}
    choose(page, image, empty)
    rows = [row.split("\t") for row in page.locator("#overview-table tbody tr").all_inner_texts()]
    assert [(row[0], row[2]) for row in rows] == [("blobs.png", "3"), ("empty.png", "0")]
    assert page.locator("#bars .bar").count() == 2
    with page.expect_download() as download:
        page.click("#save-overview")
    lines = download.value.path().read_text().splitlines()
    percent = ask(page, address, image).json()["confluency"]["percent"]
    assert lines[0] == "image,method,model,count,confluency_percent,uncertainty_points,flags"
    assert lines[1].startswith(f"blobs.png,unet,nuclei/1.2.0,3,{percent},")


def test_downloads_are_the_forms_the_service_gives(page, address, image):
    choose(page, image)
    description = page.request.get(f"{address}/openapi.json").json()
    options = description["paths"]["/v1/segment"]["post"]["parameters"]
    schema = next(option["schema"] for option in options if option["name"] == "format")
    forms = set(schema["anyOf"][0]["enum"])
    offered = page.locator("#downloads button").evaluate_all("(all) => all.map((one) => one.dataset.form)")
    assert set(offered) <= forms
    assert {"json", "csv", "tiff"} < set(offered)
    assert forms - set(offered) == {"ndjson"}  # progress is no file
    for form in offered:
        with page.expect_download() as download:
            page.locator(f"#downloads [data-form={form}]").click()
        query = BY_OBJECT if form == "json" else f"format={form}"
        assert download.value.path().read_bytes() == ask(page, address, image, query).body()
        assert download.value.suggested_filename.startswith("blobs")


def test_a_busy_service_is_asked_again(open_page, address, image):
    page = open_page(address, expected_errors=2)
    refusals = [429, 503]

    def answer(route):
        if not refusals:
            return route.continue_()
        error = {"error": {"code": "overloaded", "message": "the queue is full", "request_id": "1"}}
        return route.fulfill(status=refusals.pop(), json=error, headers={"Retry-After": "0"})

    page.route("**/v1/segment?*", answer)
    choose(page, image)
    assert figure(page, "count") == "3"


def test_what_waits_and_what_runs_can_be_cancelled(page, image):
    held = []

    def hold(route):
        held.append(route)

    page.route("**/v1/preview?*", hold)
    page.set_input_files("#files", [image | {"name": f"{number}.png"} for number in range(4)])
    page.locator(".entries li[data-state=working]").nth(1).wait_for()
    assert page.locator(".entries li[data-state=waiting]").count() == 2
    page.click("#cancel-all")
    assert page.locator(".entries li[data-state=cancelled]").count() == 4
    page.unroute("**/v1/preview?*")
    page.click("#run-all")
    page.locator(".entries li[data-state=done]").nth(3).wait_for()


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
