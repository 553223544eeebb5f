"""What is filled in on the page is what the service is asked, and what cannot be is told."""

import io

import numpy as np
import pytest
import tifffile
from tests.page.driving import BY_OBJECT, ask, choose, figure


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
    alert = page.get_by_role("alert").inner_text()
    assert "Correct the marked setting and run again. Threshold: Value must be less than or equal to 1." in alert
    page.fill("#threshold", "0.5")
    page.click("#run")
    page.locator("[data-figure=count]", has_text="3").wait_for()


@pytest.fixture
def ome_stack(blobs):
    """Channels DAPI and GFP of three z planes, of which no one has all three discs of `blobs`; GFP is black."""
    halves = np.stack([np.where(np.arange(96)[:, np.newaxis] < 45, blobs, 10), np.full_like(blobs, 10), blobs])
    halves[2, :45] = 10
    stream = io.BytesIO()
    planes = np.stack([halves, np.zeros_like(halves)])
    tifffile.imwrite(stream, planes, ome=True, metadata={"axes": "CZYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    return {"name": "stack.ome.tif", "mimeType": "image/tiff", "buffer": stream.getvalue()}


def test_what_the_service_advises_for_a_stack_can_be_typed(open_page, address, ome_stack):
    page = open_page(address, expected_errors=1)
    page.set_input_files("#files", ome_stack)
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "channel=0..1 or by name: DAPI, GFP" in alert.inner_text()
    assert "take their maximum with z=max" in alert.inner_text()
    assert "Fill in “Image of the file”, “Channel”, “Plane z” or “Time t” under Settings" in alert.inner_text()
    page.get_by_text("Stacks and difficult images", exact=True).click()
    page.get_by_label("Channel").fill("DAPI")
    page.get_by_label("Plane z").fill("max")
    page.keyboard.press("Enter")
    page.locator("[data-figure=count]", has_text="3").wait_for()
    assert alert.count() == 0
    assert "channel = DAPI, z = max" in page.locator("#origin").inner_text()
    page.get_by_label("Plane z").fill("0")
    page.keyboard.press("Enter")
    page.locator("[data-figure=count]", has_text="1").wait_for()
    assert "z = 0" in page.locator("#origin").inner_text()


@pytest.mark.parametrize("wrong", ["MAX", "-1", "1.5", "first"])
def test_a_plane_that_cannot_be_is_told_before_anything_is_sent(page, ome_stack, wrong):
    page.get_by_text("Stacks and difficult images", exact=True).click()
    page.get_by_label("Plane z").fill(wrong)
    page.get_by_text("Stacks and difficult images", exact=True).click()
    page.set_input_files("#files", ome_stack)
    alert = page.get_by_role("alert").inner_text()
    assert "Correct the marked setting and run again. Plane z: its number from 0, or max." in alert
    assert page.locator("#z:user-invalid").count() == 1
    assert page.evaluate("document.activeElement.id") == "z"
    hint = page.locator(f"#{page.locator('#z').get_attribute('aria-describedby')}")
    assert hint.inner_text() == "its number from 0, or max for the maximum of all"


def test_one_of_several_positions_is_chosen_by_its_name(open_page, address, blobs):
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        for name, pixels in (("empty", np.full_like(blobs, 10)), ("cells", blobs)):
            writer.write(pixels, metadata={"axes": "YX", "Name": name})
    page = open_page(address, expected_errors=1)
    page.set_input_files("#files", {"name": "run.ome.tif", "mimeType": "image/tiff", "buffer": stream.getvalue()})
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "series=0..1 or by name: empty, cells" in alert.inner_text()
    page.get_by_text("Stacks and difficult images", exact=True).click()
    page.get_by_label("Image of the file").fill("cells")
    page.keyboard.press("Enter")
    page.locator("[data-figure=count]", has_text="3").wait_for()
    assert "series = cells" in page.locator("#origin").inner_text()


def test_a_channel_that_is_not_there_is_told_with_those_that_are(open_page, address, ome_stack):
    page = open_page(address, expected_errors=1)
    page.get_by_text("Stacks and difficult images", exact=True).click()
    page.get_by_label("Channel").fill("Cy5")
    page.get_by_label("Plane z").fill("2")
    page.set_input_files("#files", ome_stack)
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "the image has no channel 'Cy5': its channels are DAPI, GFP" in alert.inner_text()
    page.get_by_label("Channel").fill("0")
    page.keyboard.press("Enter")
    page.locator("[data-figure=count]", has_text="2").wait_for()


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
