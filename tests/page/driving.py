"""What tests do with the page in a browser: choose images, ask the service the same, read what is shown."""

import base64

from monolayer_core.image_io import decode_image

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
