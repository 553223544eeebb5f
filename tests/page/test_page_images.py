"""Images come to the page one by one and many at once; what goes wrong with one leaves the others alone."""

import io

import numpy as np
import tifffile
from tests.page.driving import ask, choose, figure

from monolayer_core.image_io import encode_png


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
