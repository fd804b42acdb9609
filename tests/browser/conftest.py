"""A real Chromium, and a relay running beside the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pymongo import MongoClient
from pymongo.collection import Collection
from running import running_in_thread, settings_for, token

from relay.config import Settings

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Site:
    """A running relay as a page's test sees it: its address, its tasks, and who may sign in."""

    def __init__(self, settings: Settings, tasks: Collection[dict[str, Any]], page: Page) -> None:
        self._settings = settings
        self._running = ExitStack()
        self.tasks = tasks
        self.page = page
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start the relay; the second time where it was before."""
        port = urlsplit(self.url).port or 0
        settings = self._settings.model_copy(update={"relay_port": port})
        self.url = self._running.enter_context(running_in_thread(settings))

    def stop(self) -> None:
        self._running.close()

    def open(self, sub: str = "alice", **claims: Any) -> Page:
        """The dashboard, signed in and live."""
        self.page.goto(f"{self.url}/#token={token(sub, **claims)}")
        self.page.wait_for_selector('[data-connection="live"]')
        return self.page


# Playwright keeps a loop running in this thread, so it must be over before the next asynchronous test.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def site(
    browser: Browser, mongo_url: str, mongo: MongoClient[dict[str, Any]], database_name: str
) -> Iterator[Site]:
    """Fails the test when the page raises an error, or writes to the console anything of its own."""
    said: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    site = Site(settings_for(mongo_url, database_name), mongo[database_name]["tasks"], page)
    try:
        yield site
    finally:
        context.close()
        site.stop()
    # The browser itself reports a connection that fails.
    assert [line for line in said if "WebSocket connection to" not in line] == []
