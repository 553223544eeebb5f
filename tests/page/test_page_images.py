"""Images come to the page one by one and many at once; what goes wrong with one leaves the others alone."""

import base64
import io
import json

import numpy as np
import tifffile
from tests.page.driving import ask, choose, figure

from monolayer_core.image_io import encode_png

CARRY = """(files) => {
    const carried = new DataTransfer();
    for (const { name, mimeType, text } of files) {
        const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
        carried.items.add(new File([bytes], name, { type: mimeType }));
    }
    return carried;
}"""

STREAMED = """() => {
    const fetched = window.fetch;
    window.fetch = (address, request) => {
        if (!address.startsWith("v1/segment")) return fetched(address, request);
        const body = new ReadableStream({ start: (stream) => (window.streamed = stream) });
        return Promise.resolve(new Response(body));
    };
}"""

TELL = "(text) => window.streamed.enqueue(new TextEncoder().encode(text))"


def carried(page, *files):
    """The files, as they are dragged or copied."""
    texts = [
        {"name": file["name"], "mimeType": file["mimeType"], "text": base64.b64encode(file["buffer"]).decode()}
        for file in files
    ]
    return page.evaluate_handle(CARRY, texts)


def test_files_can_be_dropped_anywhere_on_the_page(page, address, image):
    percent = ask(page, address, image).json()["confluency"]["percent"]
    files = carried(page, image, image | {"name": "again.png"})
    page.dispatch_event("#result-title", "dragover", {"dataTransfer": files})
    assert page.locator("#drop.is-over").count() == 1
    page.dispatch_event("#result-title", "drop", {"dataTransfer": files})
    assert page.locator("#drop.is-over").count() == 0
    page.locator(".entries li[data-state=done]").nth(1).wait_for()
    assert page.locator(".entries .name").all_inner_texts() == ["blobs.png", "again.png"]
    assert page.locator(".entries .note").all_inner_texts() == [f"3 nuclei, {percent:.1f} %"] * 2
    assert figure(page, "count") == "3"
    assert page.url.endswith("/")  # the browser has not gone to the file


def test_what_is_dragged_away_again_leaves_no_mark(page, image):
    files = carried(page, image)
    page.dispatch_event("#drop", "dragover", {"dataTransfer": files})
    page.dispatch_event("#drop", "dragleave", {"dataTransfer": files})
    assert page.locator("#drop.is-over").count() == 0
    assert page.locator(".entries li").count() == 0


PASTE = """(data) => document.activeElement.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }))"""


def test_an_image_can_be_pasted(page, image):
    page.evaluate(PASTE, carried(page, image | {"name": "image.png"}))
    page.locator(".entries li[data-state=done]").wait_for()
    assert page.locator("#result-title").inner_text() == "image.png"
    page.locator("[data-figure=count]", has_text="3").wait_for()


def test_text_that_is_pasted_is_no_image(page):
    page.focus("#threshold")
    text = carried(page)
    text.evaluate("(data) => data.setData('text/plain', '0.5')")
    page.evaluate(PASTE, text)
    assert page.locator(".entries li").count() == 0


def test_the_bar_moves_as_the_service_tells(page, address, blobs):
    pixels = np.zeros((2100, 2100), np.uint8)
    pixels[:96, :120] = blobs
    large = {"name": "large.png", "mimeType": "image/png", "buffer": encode_png(pixels)}
    answer = ask(page, address, large).text()
    page.evaluate(STREAMED)
    page.set_input_files("#files", large)
    text, bar = page.locator("#progress-text"), page.get_by_role("progressbar")
    page.locator("#progress-text", has_text="finding objects").wait_for()

    def tell(stage, done, seconds):
        numbers = {"done_megapixels": done, "total_megapixels": 4, "elapsed_seconds": seconds}
        return json.dumps({"progress": {"stage": stage} | numbers}) + "\n"

    for part in (tell("decode", 0, 1), tell("inference", 1, 2)):
        page.evaluate(TELL, part)
    text.filter(has_text="running the network, 25 % (2 s)").wait_for()
    assert bar.evaluate("(bar) => bar.value") == 0.25
    line = tell("inference", 3, 6)
    page.evaluate(TELL, line[:20])
    assert bar.evaluate("(bar) => bar.value") == 0.25
    page.evaluate(TELL, line[20:])
    text.filter(has_text="running the network, 75 % (6 s)").wait_for()
    assert bar.evaluate("(bar) => bar.value") == 0.75
    assert "75 %" in page.locator(".entries .note").inner_text()
    page.evaluate(TELL, tell("postprocess", 4, 8))
    text.filter(has_text="splitting and measuring objects (8 s)").wait_for()
    assert bar.get_attribute("value") is None  # how long this takes is not known
    page.evaluate(TELL, f"{answer}\n")
    page.evaluate("() => window.streamed.close()")
    page.locator("[data-figure=count]", has_text="3").wait_for()
    assert page.locator("#progress").is_hidden()


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
