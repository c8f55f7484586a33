"""A real browser (Chromium) for tests: pages that fail their test when they complain or ask another host."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
WAIT_MS = 20_000


@contextmanager
def running() -> Iterator[Browser]:
    """Run a browser. Its loop keeps the thread: what needs a loop of its own runs in another thread meanwhile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a page; whatever a console says, and every request to another host, is an error."""
    contexts, said = [], []

    def open_one(url: str, theme: str = "dark", language: str = "en-GB", size=(1600, 900), **more: Any) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            locale=language,
            reduced_motion="reduce",
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda one: said.append(one.url) if not one.url.startswith(("http://127.0.0.1", "data:")) else None,
        )
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    # A page that is refused, or a server that is gone, is an error to the console; the tests bring those about.
    assert [line for line in said if "Failed to load resource" not in line and "net::ERR" not in line] == []


def live(page: Page) -> None:
    """Wait until a page hears from its server."""
    page.wait_for_selector("#live.live")
