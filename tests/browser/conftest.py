"""Pages in headless Chromium. A page that asks for anything, or has an error, fails its test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OWN = ("file:", "data:", "blob:")


@pytest.fixture(scope="module")
def browser():
    """One for each module: while it is there, no test in this process could run an event loop of its own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this host: make browser installs Debian's")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """open_page(html, link="", **context) -> the page, opened from a file, without a network and without motion.

    link: what follows in the address, as '#flame.view=TP0'. context: playwright's, as viewport, color_scheme."""
    contexts, troubles = [], []

    def opened(html: str, link: str = "", **options):
        file: Path = tmp_path / f"page-{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(**{"reduced_motion": "reduce", "offline": True, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in {"error", "warning"} and troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: request.url.startswith(OWN) or troubles.append(f"asked for {request.url}"))
        page.on("dialog", lambda dialog: (troubles.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(f"{file.as_uri()}{link}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []
