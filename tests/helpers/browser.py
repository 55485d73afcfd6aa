"""A real browser, headless, for tests of what people look at: Debian's Chromium.

`from browser import chromium, Visit` in a test file makes the fixture `chromium` known there.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
HERE = {"", "localhost", "127.0.0.1", "::1"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium here: `apt-get install chromium`")
    with sync_playwright() as playwright:
        # Without a sandbox: root, whom containers run as, may not have one. No other page is open.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """An open page, what went wrong on it and what it asked other machines for."""

    def __init__(self, page: Page) -> None:
        self.page, self.errors, self.abroad = page, list[str](), list[str]()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if (urlsplit(request.url).hostname or "") not in HERE:
            self.abroad.append(request.url)


@contextmanager
def visit(
    browser: Browser, url: str, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Visit]:
    """`url`, opened in a window of that size; no error and no request abroad until it is closed."""
    scheme = "dark" if dark else "light"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    visited = Visit(page)
    page.goto(url)
    yield visited
    page.close()
    assert visited.errors == []
    assert visited.abroad == []
