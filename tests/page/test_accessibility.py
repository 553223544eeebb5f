"""What a checker of accessibility looks for: names, roles, unique ids, headings in order, contrast."""

import pytest

NAMELESS = """() => {
    const kinds = "button, input, select, a, summary, canvas, table, [role=img], progress";
    const all = [...document.querySelectorAll(kinds)];
    const isShown = (node) => node.checkVisibility();
    const textOf = (ids) => ids.split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
    const name = (node) => node.getAttribute("aria-label") || textOf(node.getAttribute("aria-labelledby") ?? "") ||
        [...(node.labels ?? [])].map((label) => label.textContent).join("") || node.textContent;
    const isHidden = (node) => node.closest("[aria-hidden=true]");
    return all.filter((node) => isShown(node) && !isHidden(node) && !name(node).trim()).map((node) => node.outerHTML);
}"""

STRUCTURE = """() => ({
    ids: [...document.querySelectorAll("[id]")].map(({ id }) => id),
    levels: [...document.querySelectorAll("h1, h2, h3")].filter((one) => one.checkVisibility())
        .map((one) => Number(one.tagName[1])),
    references: [...document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")].flatMap((node) =>
        ["aria-labelledby", "aria-describedby", "for"].flatMap((name) => node.getAttribute(name)?.split(" ") ?? [])),
    language: document.documentElement.lang,
    pictures: [...document.querySelectorAll("img:not([alt])")].length,
    mains: document.querySelectorAll("main").length,
    styled: document.querySelectorAll("[style]:not(canvas):not(.swatch)").length,
})"""

CONTRASTS = """() => {
    const parse = (text) => {
        const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
        context.fillStyle = text;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([red, green, blue]) => [red, green, blue].map((value) => value / 255)
        .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const isIdle = node.closest(":disabled, label:has(:disabled), noscript, option, .visually-hidden, .skip");
        if (!walker.currentNode.data.trim() || !node.checkVisibility() || isIdle) continue;
        const style = getComputedStyle(node);
        const [one, two] = [parse(node instanceof SVGElement ? style.fill : style.color), ground(node)].map(luminance);
        const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 60)}`);
    }
    return found;
}"""


@pytest.fixture(params=["light", "dark"])
def full_page(request, open_page, address, image):
    """The page with two answers, an object chosen, both methods side by side, a failure in the list."""
    page = open_page(address, color_scheme=request.param, expected_errors=1)
    page.set_input_files("#files", [image, image | {"name": "again.png"}, image | {"buffer": b"no image"}])
    page.locator(".entries li[data-state=done]").nth(1).wait_for()
    page.locator(".entries li[data-state=failed]").wait_for()
    page.click("#compare")
    page.locator("#other-figure").wait_for()
    page.locator("#objects tbody tr").first.click()
    for summary in page.locator("details:not([open]) > summary").all():
        summary.click()
    return page


def test_every_control_and_picture_has_a_name(full_page):
    assert full_page.evaluate(NAMELESS) == []


def test_the_document_is_well_built(full_page):
    found = full_page.evaluate(STRUCTURE)
    assert len(found["ids"]) == len(set(found["ids"]))
    assert set(found["references"]) <= set(found["ids"])
    assert found["levels"][0] == 1
    assert found["levels"].count(1) == 1
    steps = zip(found["levels"], found["levels"][1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    assert (found["language"], found["pictures"], found["mains"], found["styled"]) == ("en", 0, 1, 0)


def test_text_stands_out_from_its_ground(full_page):
    assert full_page.evaluate(CONTRASTS) == []
    full_page.locator(".entries .entry", has_text="again.png").click()
    assert full_page.evaluate(CONTRASTS) == []
    full_page.locator(".entries [data-state=failed] .entry").click()
    assert full_page.evaluate(CONTRASTS) == []


def test_results_are_read_out(full_page):
    assert full_page.locator("#announcer[aria-live=polite]").inner_text()
    assert full_page.locator("#object[aria-live=polite]").count() == 1
    assert full_page.get_by_role("img", name="3 nuclei marked").count() == 1
    grid = full_page.get_by_role("grid", name="Objects (3)")
    assert grid.get_attribute("aria-rowcount") == "4"
    assert grid.locator("[role=row], tr").count() == 4
