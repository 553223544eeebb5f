"""What the page saves is what the service gives, with the measurements that the page shows."""

import csv
import json

import pytest
from tests.page.driving import BY_OBJECT, ask, choose, details

from monolayer_service.options import Options, acts_of


def take(page, form):
    with page.expect_download() as download:
        page.locator(f"#downloads [data-form={form}]").click()
    return download.value


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
    measured = acts_of(Options.model_fields["measurements"]).forms
    assert {form for form in offered if form in measured} == {"json", "table", "geojson"}
    for form in offered:
        saved = take(page, form)
        query = BY_OBJECT if form == "json" else f"format={form}{'&measurements=true' if form in measured else ''}"
        assert saved.path().read_bytes() == ask(page, address, image, query).body()
        assert saved.suggested_filename.startswith("blobs")


def test_the_table_and_the_outlines_hold_what_the_page_shows(page, image):
    choose(page, image)
    page.locator("#objects tbody tr").nth(1).click()
    shown = details(page)
    row = list(csv.DictReader(take(page, "table").path().read_text().splitlines()))[1]
    feature = json.loads(take(page, "geojson").path().read_text())["features"][1]
    for values in (row, feature["properties"]["measurements"]):
        assert shown["Area"] == f"{int(values['area_px'])} px"
        assert shown["Diameter"] == f"{float(values['equivalent_diameter_px']):.1f} px"
        assert shown["Eccentricity"] == f"{float(values['eccentricity']):.2f}"
        assert shown["Solidity"] == f"{float(values['solidity']):.2f}"
        assert shown["Mean intensity"] == f"{float(values['mean_intensity']):.1f}"
        assert shown["Score"] == f"{float(values['score']):.2f}"
    assert row["id"] == shown["Object"].partition(",")[0] == "2"


def hold(page, form):
    routes = []

    def wait(route):
        routes.append(route)

    page.route(f"**/v1/segment?*format={form}*", wait)
    return routes


@pytest.fixture
def held(page):
    """Requests for the table, which wait until the test lets them go."""
    return hold(page, "table")


def test_a_download_shows_that_it_is_being_made(page, image, held):
    choose(page, image)
    button = page.locator("#downloads [data-form=table]")
    button.focus()
    with page.expect_request("**/v1/segment?*format=table*"):
        page.keyboard.press("Enter")
    note = page.get_by_role("status").filter(has_text="Object table (CSV): the service is making it")
    note.wait_for()
    assert button.get_attribute("aria-busy") == "true"
    assert page.evaluate("document.activeElement.dataset.form") == "table"
    assert page.get_by_role("progressbar", name="Object table (CSV): the service is making it").is_visible()
    page.keyboard.press("Enter")  # it is asked for once
    assert take(page, "csv").suggested_filename == "blobs.rle.csv"
    assert button.get_attribute("aria-busy") == "true"
    with page.expect_download() as download:
        held[0].continue_()
    assert download.value.suggested_filename == "blobs.objects.csv"
    page.get_by_role("status").filter(has_text="Saved blobs.objects.csv").wait_for()
    assert button.get_attribute("aria-busy") == "false"
    assert page.locator("#download-bar").is_hidden()
    assert len(held) == 1


def test_a_download_goes_on_while_another_image_is_looked_at(page, image, held):
    choose(page, image, image | {"name": "other.png"})
    with page.expect_request("**/v1/segment?*format=table*"):
        page.locator("#downloads [data-form=table]").click()
    page.locator("#downloads [data-form=table][aria-busy=true]").wait_for()
    page.locator(".entries .entry", has_text="other.png").click()
    page.locator("#downloads [data-form=table][aria-busy=false]").wait_for()
    assert page.locator("#download-note").inner_text() == ""
    page.locator(".entries .entry", has_text="blobs.png").click()
    page.locator("#downloads [data-form=table][aria-busy=true]").wait_for()
    page.locator(".entries .entry", has_text="other.png").click()
    with page.expect_download() as download:
        held[0].continue_()
    assert download.value.suggested_filename == "blobs.objects.csv"
    assert page.locator("#download-note").inner_text() == ""


def test_a_download_that_fails_is_told_where_it_was_asked_for(open_page, address, image):
    page = open_page(address, expected_errors=1)
    choose(page, image, image | {"name": "other.png"})
    error = {"error": {"code": "internal_error", "message": "it broke", "request_id": "7"}}
    routes = hold(page, "coco")
    with page.expect_request("**/v1/segment?*format=coco*"):
        page.locator("#downloads [data-form=coco]").click()
    page.locator("#downloads [data-form=coco][aria-busy=true]").wait_for()
    page.locator(".entries .entry", has_text="other.png").click()
    page.locator("#downloads [data-form=coco][aria-busy=false]").wait_for()
    with page.expect_response("**/v1/segment?*"):
        routes.pop().fulfill(status=500, json=error)
    assert page.get_by_role("alert").count() == 0
    page.locator(".entries .entry", has_text="blobs.png").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "“COCO data set (JSON)” could not be saved: it broke." in alert.inner_text()
    assert page.locator("#downloads [data-form=coco]").get_attribute("aria-busy") == "false"
    page.unroute("**/v1/segment?*format=coco*")
    assert take(page, "coco").suggested_filename == "blobs.coco.json"
    assert alert.count() == 0
