"""A browser for the page: the tests drive it, the pictures of the documentation are taken with it.

Playwright and Chromium are not among the project's pinned tools. ``pip install playwright`` and the system's Chromium
do; ``MONOLAYER_CHROMIUM`` names another one.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Where Chromium is, None where there is none."""
    found = os.environ.get("MONOLAYER_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found if found and os.access(found, os.X_OK) else None


@contextmanager
def running_browser(chromium: str) -> Iterator["Browser"]:
    """Run a browser without a window until the block ends."""
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox does not work for root, as in a container.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        try:
            yield browser
        finally:
            browser.close()
