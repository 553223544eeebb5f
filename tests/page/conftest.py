"""A browser, and a service it may talk to; skipped with a reason where there is no browser."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from benchmarks.server import running_service
from docs.browser import find_chromium, running_browser

from monolayer_core.image_io import encode_png

PATIENCE_MS = 60_000


def pytest_collection_modifyitems(items):
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.enable_socket)
        item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))
    # Last: the driver of the browser leaves an event loop running, in which other tests could not start theirs.
    items[:] = [item for item in items if item not in here] + here


@pytest.fixture(scope="session")
def chromium():
    pytest.importorskip("playwright", reason="the page is tested in a browser: pip install playwright")
    found = find_chromium()
    if found is None:
        pytest.skip("there is no Chromium: install it, or name it in MONOLAYER_CHROMIUM")
    return found


@pytest.fixture(scope="session")
def serve(chromium):
    """Give a function that runs the service on a folder of bundles and returns its address."""
    with ExitStack() as stack:

        def start(models):
            server = stack.enter_context(running_service(60, {"MONOLAYER_MODELS": str(models)}))
            return f"http://127.0.0.1:{server.port}"

        yield start


@pytest.fixture(scope="session")
def address(serve, toy_bundles):
    """Address of a service with the bundles of `toy_bundles`."""
    return serve(toy_bundles)


@pytest.fixture(scope="session")
def browser(chromium):
    with running_browser(chromium) as browser:
        yield browser


@pytest.fixture
def open_page(browser):
    """Give a function that opens the page; the test fails where the page logs an error or asks another host.

    ``open_page(address, expected_errors=1)``: a status that is no success is logged by the browser itself.
    """
    opened = []

    def open_at(address, *, width=1280, height=900, expected_errors=0, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        problems, hosts = [], set()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.goto(f"{address}/")
        page.locator("#service-state[data-state]").wait_for()
        opened.append((context, address, problems, hosts, expected_errors))
        return page

    yield open_at
    for context, address, problems, hosts, expected_errors in opened:
        context.close()
        assert len(problems) == expected_errors, problems
        assert {host for host in hosts if host} <= {address.split("/")[2]}


@pytest.fixture
def page(open_page, address):
    return open_page(address)


@pytest.fixture
def image(blobs):
    """`blobs` as a file that Playwright can choose."""
    return {"name": "blobs.png", "mimeType": "image/png", "buffer": encode_png(blobs)}
