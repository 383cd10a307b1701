"""A real Chromium without a window, for the tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """Return where a Chromium is, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str:
    """Return why no page can be opened; nothing where one can."""
    if chromium() is None:
        return f"needs a Chromium, and none of {', '.join(NAMES)} is here"
    if find_spec("playwright") is None:
        return "needs playwright to drive the browser: pip install playwright"
    return ""


@contextmanager
def started() -> "Iterator[Browser]":
    """Run the browser for as long as the context is open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: "Browser", file: Path, *, width: int = 1100, dark: bool = False
) -> "Iterator[Page]":
    """Open a file without a network; any error and any message on the console fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        offline=True,
    )
    page, said, asked = context.new_page(), list[str](), set[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    page.goto(file.as_uri())
    try:
        yield page
        assert said == []
        assert asked <= {file.as_uri(), "data:,"}
    finally:
        context.close()
