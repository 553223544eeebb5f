"""The charts of the page: what their bars say in numbers is what was counted."""

import re

import numpy as np
import pytest
from tests.page.driving import ask, choose

from monolayer_core.image_io import encode_png

DRAW = """async ([draw, width, ...values]) => {
    const charts = await import("/page/charts.js");
    const place = document.createElement("div");
    place.style.setProperty("width", `${width}px`);
    document.body.append(place);
    charts[draw](place, ...values);
    const numbers = (node) => Object.fromEntries(["x", "y", "width", "height", "x1", "x2"]
        .filter((name) => node.hasAttribute(name)).map((name) => [name, Number(node.getAttribute(name))]));
    const all = (query) => [...place.querySelectorAll(query)];
    return {
        bars: all(".bar").map((bar) => ({ ...numbers(bar), title: bar.textContent })),
        median: all(".median").map(numbers),
        whiskers: all(".whisker").map((whisker) => whisker.getAttribute("d")),
        texts: all("text").map((text) => text.firstChild.data),
        values: all(".value").map((text) => text.textContent),
        label: place.querySelector("[role=img]")?.getAttribute("aria-label"),
        words: all("p").map((text) => text.textContent),
    };
}"""
SIZES = {"name": "Area", "unit": "px", "digits": 0}
PLOT_HEIGHT = 162
WIDTH = 500


def histogram(page, values, of=SIZES):
    return page.evaluate(DRAW, ["drawHistogram", WIDTH, values, of])


def test_every_bin_has_the_height_of_its_count(page):
    # Bins are 100 wide: there are at least eight from the smallest, 100, to the largest, 900.
    drawn = histogram(page, [150, 100, 900, 100, 300, 150, 100, 199, 100, 300])
    counts = [7, 0, 2, 0, 0, 0, 0, 0, 1]
    assert [bar["title"] for bar in drawn["bars"]] == [
        f"{100 * (number + 1)} to {100 * (number + 2):,} px: {count}" for number, count in enumerate(counts)
    ]
    heights = [bar["height"] for bar in drawn["bars"]]
    np.testing.assert_allclose(heights, PLOT_HEIGHT * np.array(counts) / 7, atol=1e-9)
    feet = [bar["y"] + bar["height"] for bar in drawn["bars"]]
    np.testing.assert_allclose(feet, 172)
    lefts = [bar["x"] for bar in drawn["bars"]]
    bin_width = (WIDTH - 40 - 22) / 9
    np.testing.assert_allclose(lefts, 40.5 + bin_width * np.arange(9))
    np.testing.assert_allclose([bar["width"] for bar in drawn["bars"]], bin_width - 1)
    assert drawn["median"][0]["x1"] == pytest.approx(40 + 0.5 * bin_width)  # 150, in the middle of the first bin
    summary = "Median 150 px; half of the objects lie between 100 and 300 px."
    assert drawn["words"] == [summary]
    assert drawn["label"] == f"Histogram of Area. {summary}"
    assert drawn["texts"][-2:] == ["Area (px)", "objects"]


def test_equal_sizes_stand_in_one_bar(page):
    drawn = histogram(page, [40, 40, 40])
    assert [bar["height"] for bar in drawn["bars"]] == [PLOT_HEIGHT]
    assert drawn["bars"][0]["title"].endswith(": 3")


def test_one_object_is_no_distribution(page):
    drawn = histogram(page, [40])
    assert drawn["words"] == ["A distribution needs at least two objects."]
    assert drawn["bars"] == []


def test_many_sizes_are_counted_once_each(page):
    sizes = np.random.default_rng(1).gamma(3, 100, 500).round(3)
    drawn = histogram(page, sizes.tolist(), SIZES | {"unit": "µm²", "digits": 1})
    titles = [
        re.fullmatch(r"([\d,.]+) to ([\d,.]+) µm²: (\d+)", bar["title"].replace(",", "")) for bar in drawn["bars"]
    ]
    edges = [float(title[1]) for title in titles] + [float(titles[-1][2])]
    counts = [int(title[3]) for title in titles]
    assert 8 <= len(counts) <= 25
    np.testing.assert_array_equal(np.histogram(sizes, edges)[0], counts)
    heights = [bar["height"] for bar in drawn["bars"]]
    np.testing.assert_allclose(heights, PLOT_HEIGHT * np.array(counts) / max(counts))


def test_the_sizes_of_an_image_are_those_of_its_objects(page, address):
    y, x = np.mgrid[:200, :300]
    pixels = np.full((200, 300), 10, np.uint8)
    for number, radius in enumerate((6, 6, 7, 8, 9, 10, 12, 15)):
        pixels[(y - 50 - 100 * (number // 4)) ** 2 + (x - 40 - 70 * (number % 4)) ** 2 <= radius**2] = 200
    discs = {"name": "discs.png", "mimeType": "image/png", "buffer": encode_png(pixels)}
    choose(page, discs)
    areas = [one["area_px"] for one in ask(page, address, discs).json()["instances"]]
    assert len(areas) == 8
    titles = page.locator("#histogram .bar title").evaluate_all("(all) => all.map((one) => one.textContent)")
    found = [re.fullmatch(r"(\d+) to (\d+) px: (\d+)", title) for title in titles]
    edges = [int(title[1]) for title in found] + [int(found[-1][2])]
    np.testing.assert_array_equal(np.histogram(areas, edges)[0], [int(title[3]) for title in found])


def test_confluency_is_as_long_as_it_is_and_has_its_uncertainty(page):
    images = [
        {"name": "low.png", "percent": 2, "points": 3},
        {"name": "unknown.png", "percent": 25, "points": None},
        {"name": "a_long_name_that_does_not_fit_into_its_place.png", "percent": 97.04, "points": 5},
    ]
    drawn = page.evaluate(DRAW, ["drawConfluency", WIDTH, images])
    start, length = 200, 500 - 56 - 200  # names take two fifths of the width, the numbers at the end 56
    assert [bar["x"] for bar in drawn["bars"]] == [start] * 3
    np.testing.assert_allclose([bar["width"] for bar in drawn["bars"]], length * np.array([2, 25, 97.04]) / 100)
    ends = [tuple(map(float, re.findall(r"M([\d.]+) [\d.]+v8", whisker))) for whisker in drawn["whiskers"]]
    np.testing.assert_allclose(ends, start + length * np.array([(0, 5), (92.04, 100)]) / 100)
    assert drawn["values"] == ["2.0 %", "25.0 %", "97.0 %"]
    assert drawn["texts"][5::2] == ["low.png", "unknown.png", "a_long_name_that_do…lace.png"]


def test_the_chart_of_several_images_has_their_confluency(page, address, image, blobs):
    fuller = image | {"name": "fuller.png", "buffer": encode_png(np.where(blobs[::-1] > 100, blobs[::-1], blobs))}
    choose(page, image, fuller)
    percents = [ask(page, address, one).json()["confluency"]["percent"] for one in (image, fuller)]
    assert percents[0] < percents[1]
    width = float(page.locator("#bars svg").get_attribute("viewBox").split()[2])
    bars = page.locator("#bars .bar").evaluate_all("(all) => all.map((bar) => Number(bar.getAttribute('width')))")
    np.testing.assert_allclose(bars, (0.6 * width - 56) * np.array(percents) / 100)
    assert page.locator("#bars .value").all_text_contents() == [f"{percent:.1f} %" for percent in percents]
