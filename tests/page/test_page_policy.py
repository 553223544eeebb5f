"""The browser keeps the page to its policy: no text of an answer can be run, and nothing goes elsewhere."""

import pytest

PATIENCE_MS = 20_000
ELSEWHERE = "http://127.0.0.1:9"
TRUSTED = "trustedTypes.createPolicy('test', { createScript: (text) => text, createScriptURL: (text) => text })"


def add(tag, properties, place="body"):
    return f"document.{place}.append(Object.assign(document.createElement('{tag}'), {{ {properties} }}))"


TRIES = {
    "text as a script": (add("script", "text: 'window.ran = true'"), "require-trusted-types-for"),
    "text that is run": ("eval('window.ran = true')", "require-trusted-types-for"),
    "text as markup": ("document.body.innerHTML = '<b>markup</b>'", "require-trusted-types-for"),
    "a script in the page": (add("script", f"text: {TRUSTED}.createScript('window.ran = true')"), "script-src-elem"),
    "a trusted text that is run": (f"eval({TRUSTED}.createScript('window.ran = true'))", "script-src"),
    "a script from elsewhere": (
        add("script", f"src: {TRUSTED}.createScriptURL('{ELSEWHERE}/x.js')"),
        "script-src-elem",
    ),
    "a style in the page": (add("style", "textContent: 'body { color: red }'", "head"), "style-src-elem"),
    "a style from elsewhere": (add("link", f"rel: 'stylesheet', href: '{ELSEWHERE}/x.css'", "head"), "style-src-elem"),
    "a request to elsewhere": (f"fetch('{ELSEWHERE}/').catch(() => {{}})", "connect-src"),
    "a picture from elsewhere": (f"new Image().src = '{ELSEWHERE}/x.png'", "img-src"),
    "a picture that is text": ("new Image().src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='", "img-src"),
    "a font": (f"new FontFace('x', 'url({ELSEWHERE}/x.woff2)').load().catch(() => {{}})", "font-src"),
    "a frame": (add("iframe", "src: '/docs'"), "frame-src"),
    "a plug-in": (add("object", f"data: {TRUSTED}.createScriptURL('/docs')"), "object-src"),
    "a form that is sent": (f"{add('form', 'action: `/`')}; document.forms[1].submit()", "form-action"),
    "another base of addresses": (add("base", f"href: '{ELSEWHERE}/'", "head"), "base-uri"),
}
"""What is tried, and the directive of the policy that it breaks."""

TRY = """() => new Promise((resolve) => {
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => resolve(effectiveDirective));
    setTimeout(() => resolve("nothing was told"), PATIENCE_MS);
    // Later, as the page itself would: what a test evaluates at once is let do more.
    setTimeout(() => { TRIED; });
})"""


@pytest.fixture
def bare_page(browser, address):
    """The page without the checks of `open_page`: here its browser shall complain."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/")
    page.locator("#service-state[data-state]").wait_for()
    yield page
    context.close()


@pytest.mark.parametrize("tried", TRIES)
def test_the_policy_is_kept(bare_page, tried):
    code, directive = TRIES[tried]
    attempt = TRY.replace("TRIED", code).replace("PATIENCE_MS", str(PATIENCE_MS))
    assert bare_page.evaluate(attempt) == directive
    assert bare_page.evaluate("() => [typeof window.ran, document.querySelectorAll('b').length]") == ["undefined", 0]
    assert bare_page.evaluate("() => document.baseURI") == bare_page.url
